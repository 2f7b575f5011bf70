"""Which traces are kept, and how a trace goes on in another process."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, TraceIdRatioBased

from shared.telemetry import exporting

TRACE = "ab" * 16
PARENT = f"00-{TRACE}-{'cd' * 8}-01"


def decisions(sampler: exporting.CallerSampler, count: int, kind: trace.SpanKind) -> list[bool]:
    """Return for as many spans whether each is kept."""
    return [
        sampler.should_sample(None, number, "a", kind).decision is Decision.RECORD_AND_SAMPLE for number in range(count)
    ]


def test_a_caller_may_ask_for_ten_traces_in_a_second() -> None:
    now = 100.0
    sampler = exporting.CallerSampler(ALWAYS_OFF, lambda: now)
    most = exporting.CALLER_TRACES_PER_S
    assert decisions(sampler, most + 2, trace.SpanKind.SERVER) == [True] * most + [False] * 2
    now += 0.999
    assert decisions(sampler, 1, trace.SpanKind.SERVER) == [False]
    now += 0.001
    assert decisions(sampler, 1, trace.SpanKind.SERVER) == [True]


def test_messages_do_not_count_against_callers() -> None:
    sampler = exporting.CallerSampler(ALWAYS_OFF, lambda: 100.0)
    most = exporting.CALLER_TRACES_PER_S
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
    "traceparent", ["", "x", PARENT[:-1], PARENT.upper(), f"00-{'0' * 32}-{'cd' * 8}-01", PARENT + "-more"]
)
def test_a_malformed_traceparent_begins_a_new_trace(traceparent: str) -> None:
    assert exporting.context_of(traceparent) is None


def test_threads_that_begin_at_once_share_one_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def resource() -> Resource:
        made.append(len(made))
        time.sleep(0.05)
        return Resource({})

    monkeypatch.setattr(exporting, "_resource", resource)
    monkeypatch.setattr(exporting, "_endpoint", lambda signal: f"http://127.0.0.1:9/v1/{signal}")
    monkeypatch.setattr(exporting, "_session", lambda: None)
    barrier = threading.Barrier(4)

    def begin(_: int) -> trace.Tracer:
        barrier.wait(30)
        return exporting.tracer()

    try:
        with ThreadPoolExecutor(4) as pool:
            tracers = list(pool.map(begin, range(4)))
    finally:
        exporting.close()
    assert (made, len({id(tracer) for tracer in tracers})) == ([0], 1)


@pytest.mark.parametrize(("exemplars", "is_refused"), [("nonsense", True), ("always_on", False)])
def test_a_refused_setting_leaves_no_reader_that_collects_for_no_provider(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, exemplars: str, is_refused: bool
) -> None:
    def readers() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "OtelPeriodicExportingMetricReader"}

    def resource() -> Resource:
        # longer than the interval of a reader
        time.sleep(0.05)
        return Resource({})

    monkeypatch.setattr(exporting, "_resource", resource)
    monkeypatch.setattr(exporting, "_endpoint", lambda signal: f"http://127.0.0.1:9/v1/{signal}")
    monkeypatch.setattr(exporting, "_session", lambda: None)
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "20")
    monkeypatch.setenv("OTEL_METRICS_EXEMPLAR_FILTER", exemplars)
    before = readers()
    try:
        if is_refused:
            with pytest.raises(ValueError, match="exemplar filter"):
                exporting.meter()
        else:
            exporting.meter()
        assert len(readers() - before) == int(not is_refused)
    finally:
        exporting.close()
    assert readers() == before
    assert [record.getMessage() for record in caplog.records if "Cannot call collect" in record.getMessage()] == []


def test_a_caller_cannot_choose_a_trace_id_that_chance_keeps() -> None:
    # the bound of a share is compared with the last 64 bits of the id
    drawn = iter([2**63 - 1, 2**63, 0, 2**64 - 1])
    sampler = exporting.CallerSampler(TraceIdRatioBased(0.5), lambda: 100.0, lambda: next(drawn))
    most = exporting.CALLER_TRACES_PER_S
    # numbers from 0 on are the ids that chance would always keep
    assert decisions(sampler, most + 4, trace.SpanKind.SERVER) == [True] * most + [True, False, True, False]


def test_drawn_trace_ids_differ_in_the_bits_that_decide() -> None:
    assert len({exporting.drawn_trace_id() % 2**64 for _ in range(8)}) == 8
