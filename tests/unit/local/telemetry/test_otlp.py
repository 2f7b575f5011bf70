"""What OpenTelemetry's own exporters send is read, and shown as Prometheus reads it."""

from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from local.telemetry import otlp
from shared.errors import MalformedBody


def metrics_of(service: str, *requests: tuple[str, float]) -> Iterator[bytes]:
    """Yield an export after each request, of which a route and seconds are recorded."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], resource=Resource({"service.name": service}), shutdown_on_exit=False).get_meter("x")
    histogram = meter.create_histogram("a.duration", "s", "how long", explicit_bucket_boundaries_advisory=(0.5, 2))
    counter = meter.create_counter("a.count", "{thing}", "how many")
    gauge = meter.create_gauge("a.version", "", "which")
    for route, seconds in requests:
        histogram.record(seconds, {"http.route": route})
        counter.add(2)
        gauge.set(seconds)
        data = reader.get_metrics_data()
        assert data is not None
        yield encode_metrics(data).SerializeToString()


def test_metrics_are_shown_in_the_text_format_with_their_newest_values() -> None:
    registry = otlp.Registry()
    for body in metrics_of("gateway", ("/a", 0.5), ("/a", 1), ("/a", 3)):
        registry.add(otlp.metrics_of(body))
    for body in metrics_of("jobs", ("/b", 7)):
        registry.add(otlp.metrics_of(body))
    assert registry.text().splitlines() == [
        "# HELP a_count_total how many",
        "# TYPE a_count_total counter",
        'a_count_total{service="gateway"} 6',
        'a_count_total{service="jobs"} 2',
        "# HELP a_duration_seconds how long",
        "# TYPE a_duration_seconds histogram",
        'a_duration_seconds_bucket{http_route="/a",service="gateway",le="0.5"} 1',
        'a_duration_seconds_bucket{http_route="/a",service="gateway",le="2"} 2',
        'a_duration_seconds_bucket{http_route="/a",service="gateway",le="+Inf"} 3',
        'a_duration_seconds_sum{http_route="/a",service="gateway"} 4.5',
        'a_duration_seconds_count{http_route="/a",service="gateway"} 3',
        'a_duration_seconds_bucket{http_route="/b",service="jobs",le="0.5"} 0',
        'a_duration_seconds_bucket{http_route="/b",service="jobs",le="2"} 0',
        'a_duration_seconds_bucket{http_route="/b",service="jobs",le="+Inf"} 1',
        'a_duration_seconds_sum{http_route="/b",service="jobs"} 7',
        'a_duration_seconds_count{http_route="/b",service="jobs"} 1',
        "# HELP a_version which",
        "# TYPE a_version gauge",
        'a_version{service="gateway"} 3',
        'a_version{service="jobs"} 7',
    ]


def test_a_label_cannot_end_its_line() -> None:
    assert otlp.labelled([("a", 'x"}\n\\')]) == '{a="x\\"}\\n\\\\"}'


def test_spans_are_read_with_their_parents_and_failures() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "events"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("x")
    with (
        tracer.start_as_current_span("outer", attributes={"n": 1, "list": ["a", "b"]}) as outer,
        tracer.start_as_current_span("inner") as inner,
    ):
        inner.set_status(Status(StatusCode.ERROR))
    found = otlp.spans_of(encode_spans(exporter.get_finished_spans()).SerializeToString())
    trace_id = f"{outer.get_span_context().trace_id:032x}"
    parent = f"{outer.get_span_context().span_id:016x}"
    assert [(span.trace_id, span.name, span.parent_id, span.service, span.failure) for span in found] == [
        (trace_id, "inner", parent, "events", "failed"),
        (trace_id, "outer", "", "events", ""),
    ]
    assert found[1].attributes["n"] == 1
    assert isinstance(found[1].attributes["list"], str)
    assert found[1].start_ns < found[0].start_ns < found[0].end_ns < found[1].end_ns


@pytest.mark.parametrize("body", [b"\xff\xff", b"{}"])
def test_a_body_that_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        otlp.spans_of(body)
    with pytest.raises(MalformedBody):
        otlp.metrics_of(body)
