"""Spans are found by their trace or by a request's id, and the oldest give way."""

from pathlib import Path

import pytest

from local.telemetry import store
from local.telemetry.store import StoredSpan
from shared.telemetry.spans import REQUEST_ID


def span(trace_id: str, span_id: str, start_ns: int, request_id: str | None = None) -> StoredSpan:
    attributes = {} if request_id is None else {REQUEST_ID: request_id}
    return StoredSpan(trace_id, span_id, "", "GET /", "gateway", start_ns, start_ns + 5, "", attributes)


def test_a_request_id_finds_its_whole_trace_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "spans"
    mine = [span("t1", "a", 10, "r"), span("t1", "b", 12)]
    store.add(path, [mine[1], span("t2", "c", 11, "other")])
    store.add(path, [mine[0]])
    assert store.find(path, "r") == mine
    assert store.find(path, "t1") == mine
    assert [found.span_id for found in store.find(path, "other")] == ["c"]


def test_of_two_requests_with_one_id_the_newest_counts(tmp_path: Path) -> None:
    path = tmp_path / "spans"
    store.add(path, [span("t1", "a", 10, "r"), span("t3", "c", 30, "r"), span("t2", "b", 20, "r")])
    assert [found.trace_id for found in store.find(path, "r")] == ["t3"]


def test_an_unknown_id_and_a_missing_file_find_nothing(tmp_path: Path) -> None:
    path = tmp_path / "spans"
    assert store.find(path, "r") == []
    store.add(path, [span("t1", "a", 10)])
    # a span without a request id is not found by the text of its absence
    assert store.find(path, "None") == []


def test_the_oldest_spans_give_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_SPANS", 3)
    path = tmp_path / "spans"
    for number in range(5):
        store.add(path, [span(f"t{number}", "a", number)])
    assert [bool(store.find(path, f"t{number}")) for number in range(5)] == [False, False, True, True, True]


def test_a_span_that_was_sent_twice_is_returned_once(tmp_path: Path) -> None:
    path = tmp_path / "spans"
    sent = StoredSpan("t", "a", "", "GET /", "gateway", 1, 2, attributes={"n": 1})
    # a bystander with all but the id in common
    other = StoredSpan("t", "b", "", "GET /", "gateway", 1, 2, attributes={"n": 1})
    store.add(path, [sent, other])
    store.add(path, [sent])
    assert sorted(span.span_id for span in store.find(path, "t")) == ["a", "b"]
