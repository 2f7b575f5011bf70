"""Spans cost nothing while they are off. While they are on, they have the time, the failure and the beginning."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from local.places import ROOT
from shared import logs
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
