"""Hits and misses are logged once a minute, and the counts then start again from 0."""

import logging

import pytest

from shared.storage.answers import lookups


def test_counts_are_logged_after_a_minute_and_start_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    monkeypatch.setattr(lookups.time, "monotonic", lambda: now)
    monkeypatch.setattr(lookups, "_since", now)
    monkeypatch.setattr(lookups, "_counts", {"hits": 0, "misses": 0})
    caplog.set_level(logging.INFO)
    lookups.count(True)
    lookups.count(False)
    assert caplog.records == []
    now += lookups.PERIOD_S
    lookups.count(True)
    (record,) = caplog.records
    assert (record.message, record.hits, record.misses) == ("cache", 2, 1)
    lookups.count(True)
    assert len(caplog.records) == 1
