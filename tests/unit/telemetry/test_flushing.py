"""Nobody waits longer than the limit for a receiver that does not answer, and one thread serves all who wait."""

import threading
import time

import pytest

from shared.telemetry.flushing import Flusher


def flushing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "flush-spans"]


def wait_until_idle() -> None:
    began = time.monotonic()
    while flushing():
        assert time.monotonic() - began < 30
        time.sleep(0.005)


def test_a_flush_that_hangs_is_left_after_the_limit_and_adds_no_thread() -> None:
    may_end = threading.Event()
    runs: list[int] = []

    def work() -> None:
        runs.append(len(runs))
        may_end.wait(30)

    flusher = Flusher("spans")
    try:
        assert [flusher.flush(work, 0.01) for _ in range(5)] == [False] * 5
        assert (len(flushing()), runs) == (1, [0])
    finally:
        may_end.set()
    wait_until_idle()
    # after the first one the others did not wait for a receiver that is slow
    assert runs == [0]
    # it answers again: the next caller waits, and finds that out
    assert [flusher.flush(work, 30), flusher.flush(work, 30)] == [True, True]
    assert runs == [0, 1, 2]


def test_a_flush_that_fails_ends_and_the_next_one_runs(caplog: pytest.LogCaptureFixture) -> None:
    runs: list[int] = []

    def work() -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            raise OSError("away")

    flusher = Flusher("spans")
    assert [flusher.flush(work, 30), flusher.flush(work, 30)] == [True, True]
    assert runs == [0, 1]
    assert [record.getMessage() for record in caplog.records] == ["telemetry not sent"]
    wait_until_idle()


def test_a_flush_has_ended_when_it_returns() -> None:
    runs: list[int] = []
    flusher = Flusher("spans")
    for expected in (1, 2):
        assert flusher.flush(lambda: runs.append(1), 30)
        assert len(runs) == expected
    wait_until_idle()


def test_what_comes_during_a_flush_waits_for_the_next_one() -> None:
    has_begun, may_end = threading.Event(), threading.Event()
    waiting, sent = ["early"], []

    def work() -> None:
        sent.append(list(waiting))
        has_begun.set()
        may_end.wait(30)

    flusher = Flusher("spans")
    first = threading.Thread(target=flusher.flush, args=[work, 30])
    first.start()
    assert has_begun.wait(30)
    waiting.append("late")
    threading.Timer(0.05, may_end.set).start()
    assert flusher.flush(work, 30)
    first.join(30)
    assert sent == [["early"], ["early", "late"]]
    wait_until_idle()
