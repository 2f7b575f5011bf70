"""Which traces are kept, and how a trace goes on in another process."""

import threading
import time

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, TraceIdRatioBased

from shared.telemetry import exporting

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def decisions(sampler: exporting.AskedFor, count: int, kind: trace.SpanKind) -> list[bool]:
    """Return for as many spans whether each is kept."""
    return [
        sampler.should_sample(None, number, "a", kind).decision is Decision.RECORD_AND_SAMPLE for number in range(count)
    ]


def test_a_caller_may_ask_for_ten_traces_in_a_second() -> None:
    now = 100.0
    sampler = exporting.AskedFor(ALWAYS_OFF, lambda: now)
    most = exporting.MOST_ASKED_PER_S
    assert decisions(sampler, most + 2, trace.SpanKind.SERVER) == [True] * most + [False] * 2
    now += 0.999
    assert decisions(sampler, 1, trace.SpanKind.SERVER) == [False]
    now += 0.001
    assert decisions(sampler, 1, trace.SpanKind.SERVER) == [True]


def test_messages_do_not_count_against_callers() -> None:
    sampler = exporting.AskedFor(ALWAYS_OFF, lambda: 100.0)
    most = exporting.MOST_ASKED_PER_S
    assert decisions(sampler, most + 1, trace.SpanKind.CONSUMER) == [True] * (most + 1)
    assert decisions(sampler, most + 1, trace.SpanKind.SERVER) == [True] * most + [False]


def test_a_traceparent_is_continued() -> None:
    context = exporting.context_of(PARENT)
    span_context = trace.get_current_span(context).get_span_context()
    assert (span_context.is_remote, exporting.traceparent_of(span_context)) == (True, PARENT)


def test_the_flag_of_a_trace_that_is_not_kept_is_continued_too() -> None:
    context = exporting.context_of(PARENT[:-2] + "00")
    assert not trace.get_current_span(context).get_span_context().trace_flags.sampled


@pytest.mark.parametrize(
    "traceparent", ["", "x", PARENT[:-1], PARENT.upper(), f"00-{'0' * 32}-00f067aa0ba902b7-01", PARENT + "-more"]
)
def test_a_malformed_traceparent_begins_a_new_trace(traceparent: str) -> None:
    assert exporting.context_of(traceparent) is None


def test_a_caller_cannot_choose_a_trace_id_that_chance_keeps() -> None:
    # the bound of a share is compared with the last 64 bits of the id
    drawn = iter([2**63 - 1, 2**63, 0, 2**64 - 1])
    sampler = exporting.AskedFor(TraceIdRatioBased(0.5), lambda: 100.0, lambda: next(drawn))
    most = exporting.MOST_ASKED_PER_S
    # numbers from 0 on are the ids that chance would always keep
    assert decisions(sampler, most + 4, trace.SpanKind.SERVER) == [True] * most + [True, False, True, False]


def test_drawn_trace_ids_differ_in_the_bits_that_decide() -> None:
    assert len({exporting.drawn_trace_id() % 2**64 for _ in range(8)}) == 8


def waiting(flusher: exporting.Flusher, results: list[bool]) -> threading.Thread:
    """Start a thread that flushes, and adds the result."""
    thread = threading.Thread(target=lambda: results.append(flusher.flush()))
    thread.start()
    return thread


def test_a_flush_waits_for_what_was_there_when_it_was_called() -> None:
    begun, may_end = threading.Semaphore(0), threading.Semaphore(0)
    sent: list[int] = []

    def send() -> None:
        begun.release()
        assert may_end.acquire(timeout=30)
        sent.append(len(sent))

    flusher = exporting.Flusher(send, 30)
    results: list[bool] = []
    first = waiting(flusher, results)
    assert begun.acquire(timeout=30)
    later = waiting(flusher, results)
    deadline = time.monotonic() + 30
    while flusher._next is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    may_end.release()
    first.join(30)
    assert begun.acquire(timeout=30)
    # the first run alone has ended
    assert (later.is_alive(), results, sent) == (True, [True], [0])
    may_end.release()
    later.join(30)
    assert (results, sent) == ([True] * 2, [0, 1])


def test_a_receiver_that_does_not_answer_delays_one_caller_by_the_limit_and_no_other() -> None:
    may_end = threading.Event()
    ended = threading.Semaphore(0)

    def send() -> None:
        may_end.wait(30)
        ended.release()

    flusher = exporting.Flusher(send, 0.2)
    began = time.monotonic()
    assert not flusher.flush()
    assert time.monotonic() - began >= 0.2
    flusher._wait_s = 30
    assert [flusher.flush() for _ in range(20)] == [False] * 20
    may_end.set()
    assert ended.acquire(timeout=30)
    # it answers again: a caller waits, and then all do
    deadline = time.monotonic() + 30
    while not flusher.flush():
        assert time.monotonic() < deadline
    assert flusher.flush()


def test_a_flush_that_fails_ends_and_the_next_one_runs(caplog: pytest.LogCaptureFixture) -> None:
    runs: list[int] = []

    def send() -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            raise OSError("away")

    flusher = exporting.Flusher(send, 30)
    assert (flusher.flush(), flusher.flush(), runs) == (True, True, [0, 1])
    assert [record.getMessage() for record in caplog.records] == ["spans not sent"]
