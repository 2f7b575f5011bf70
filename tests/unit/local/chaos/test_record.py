"""The record says what was accepted, also after a crash."""

import os
from pathlib import Path

import pytest

from local.chaos import record

EVENT = {"event_id": "e1", "user_id": "ann", "product_id": 1, "event_type": "view"}


def test_what_was_accepted_is_read_back(tmp_path: Path) -> None:
    written = record.Record(tmp_path / "record")
    written.sent("event", **EVENT)
    written.sent("order", user_id="bob", product_id=2, quantity=1)
    written.sent("price", product_id=3, price="1.00")
    assert written.content.events == {}
    written.accepted("event", **EVENT)
    written.accepted("order", user_id="bob", order_id="o1")
    written.accepted("price", product_id=3, price="1.00")
    written.accepted("poison", message_id="m1")
    written.close()
    assert record.read(tmp_path / "record") == written.content
    assert written.content.events == {"e1": EVENT}
    assert written.content.unconfirmed_prices == {}
    assert written.content.prices == {3: "1.00"}


def test_what_is_accepted_reaches_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = record.Record(tmp_path / "record")
    counted: list[int] = []

    def fail(_handle: int) -> None:
        counted.append(len(written.content.events))
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(OSError, match="full"):
        written.accepted("event", **EVENT)
    written.close()
    assert counted == [0]
    assert written.content.events == {}


def test_a_line_that_a_crash_cut_off_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "record"
    written = record.Record(path)
    written.accepted("event", **EVENT)
    written.accepted("event", **EVENT | {"event_id": "e2"})
    written.close()
    path.write_bytes(path.read_bytes()[:-1])
    assert set(record.read(path).events) == {"e1"}


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    written = record.Record(tmp_path / "record")
    with pytest.raises(KeyError):
        written.accepted("evnt", **EVENT)
    written.close()
