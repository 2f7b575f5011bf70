"""Spans cost nothing while they are off. While they are on, they have the time, the failure and the beginning."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from local.places import ROOT
from shared import logs
from shared.clients import reset
from shared.telemetry import exporting, spans

PROBE = """
import sys
from shared.telemetry import metrics, spans
with spans.span("a", "server", {}) as span, spans.database_call("postgresql", "SELECT 1"):
    span.set("a", 1)
    span.fail("no")
    metrics.record(metrics.SEARCHES, 1, {})
print(span is spans.NO_SPAN, span.is_recorded, "opentelemetry" in sys.modules)
"""


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "True False False"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
            "True False False",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.1"},
            "False False True",
        ),
        # without Google's credentials spans are recorded in vain, and the work goes on
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "https://telemetry.googleapis.com",
                "GOOGLE_APPLICATION_CREDENTIALS": "/no/such/file",
            },
            "False False True",
        ),
    ],
)
def test_without_an_endpoint_nothing_is_recorded_and_the_library_is_not_imported(
    environment: dict[str, str], expected: str
) -> None:
    # of the third the last value shows that the probe can tell: the span has ended, so it records no longer
    command = [sys.executable, "-P", "-c", PROBE + "import os; sys.stdout.flush(); os._exit(0)"]
    process = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT)} | environment, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == expected


@pytest.mark.parametrize(
    ("name", "value", "is_off"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", True),
        ("OTEL_TRACES_SAMPLER_ARG", "many", True),
        ("OTEL_SDK_DISABLED", "perhaps", True),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0", True),
        ("OTEL_METRIC_EXPORT_INTERVAL", "-1", True),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "nonsense", True),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1", True),
        # what the SDK replaces by its default, or is not asked for
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "nonsense", False),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "abc", False),
        ("OTEL_TRACES_SAMPLER", "nonsense", False),
    ],
)
def test_a_variable_that_is_not_valid_fails_nothing_and_is_logged_once(name: str, value: str, is_off: bool) -> None:
    # the probe twice, as two requests
    command = [sys.executable, "-P", "-c", PROBE + PROBE + "import os; sys.stdout.flush(); os._exit(0)"]
    environment = {"PYTHONPATH": str(ROOT), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", name: value}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert [line.split()[0] for line in process.stdout.splitlines()] == [str(is_off)] * 2
    assert process.stderr.count("telemetry is off") == int(is_off)


def test_threads_that_begin_at_once_log_one_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        time.sleep(0.05)
        raise ValueError("no such filter")

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(exporting, "tracer", fail)
    barrier = threading.Barrier(4)

    def begin(_: int) -> bool:
        barrier.wait(30)
        return spans.is_on()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(begin, range(4))) == [False] * 4
    assert [record.__dict__["reason"] for record in caplog.records] == ["ValueError: no such filter"]
    # the bystander: the next set-up is tried anew
    monkeypatch.undo()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    reset()
    assert spans.is_on()
    reset()


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Record into memory."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(spans, "is_on", lambda: True)
    monkeypatch.setattr(exporting, "tracer", lambda: provider.get_tracer("a-test"))
    yield kept
    provider.shutdown()


def test_a_span_begins_when_its_work_began(exported: InMemorySpanExporter) -> None:
    before = time.time_ns()
    with spans.span("late", "server", {}, since_s=60):
        pass
    with spans.span("now", "server", {}):
        pass
    late, now = exported.get_finished_spans()
    assert (late.start_time is not None, now.start_time is not None) == (True, True)
    assert -61e9 < late.start_time - before < -59e9
    assert now.start_time >= before


def test_a_failure_is_named_by_its_type_and_its_text_is_not_kept(exported: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="ann@shop"), spans.span("fails", "consumer", {}):
        raise ValueError("ann@shop.example")
    with spans.span("works", "consumer", {}):
        pass
    fails, works = exported.get_finished_spans()
    assert (fails.status.is_ok, fails.status.description, works.status.is_ok) == (False, "ValueError", True)
    assert "ann@" not in fails.to_json()


def test_a_database_s_call_keeps_the_beginning_of_a_statement_and_only_inside_a_trace(
    exported: InMemorySpanExporter,
) -> None:
    long = "SELECT  1,\n" + "x" * 400
    with spans.database_call("postgresql", long):
        pass
    assert exported.get_finished_spans() == ()
    with spans.span("request", "server", {}), spans.database_call("postgresql", long):
        # what receives names itself to the messages that it causes, and a call of a database does not
        named = logs.current_traceparent()
    call, request = exported.get_finished_spans()
    text = (call.attributes or {})["db.query.text"]
    assert text == ("SELECT 1, " + "x" * 400)[:300]
    assert named == exporting.traceparent_of(request.get_span_context())
    assert logs.current_traceparent() is None
