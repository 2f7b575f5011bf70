"""How often Redis had the answer is said once a minute, and then counted anew."""

import logging

import pytest

from shared.http import tally


def test_counts_are_said_after_a_minute_and_begin_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    monkeypatch.setattr(tally.time, "monotonic", lambda: now)
    monkeypatch.setattr(tally, "_since", now)
    monkeypatch.setattr(tally, "_counts", {"hits": 0, "misses": 0})
    caplog.set_level(logging.INFO)
    tally.count(True)
    tally.count(False)
    assert caplog.records == []
    now += tally.PERIOD_S
    tally.count(True)
    (record,) = caplog.records
    assert (record.message, record.hits, record.misses) == ("cache", 2, 1)
    tally.count(True)
    assert len(caplog.records) == 1
