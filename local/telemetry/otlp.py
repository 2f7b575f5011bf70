"""Reading OTLP messages: spans as they are stored, and metrics as Prometheus text.

The protocol: https://opentelemetry.io/docs/specs/otlp/
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from local.telemetry.store import StoredSpan
from shared.errors import MalformedBody

FAILED: Final = 2
SERVICE: Final = "service.name"
UNITS: Final = {"s": "_seconds"}
ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
# series of one metric by its labels
Series = dict[tuple[tuple[str, str], ...], Any]


def spans_of(body: bytes) -> list[StoredSpan]:
    """Return the spans of an export request. Raises MalformedBody."""
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise MalformedBody(f"The body is no ExportTraceServiceRequest: {error}.") from None
    return [
        StoredSpan(
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.name,
            str(values(resource.resource.attributes).get(SERVICE, "")),
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            (span.status.message or "failed") if span.status.code == FAILED else "",
            values(span.attributes),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def metrics_of(body: bytes) -> ExportMetricsServiceRequest:
    """Return an export request. Raises MalformedBody."""
    request = ExportMetricsServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise MalformedBody(f"The body is no ExportMetricsServiceRequest: {error}.") from None
    return request


def values(attributes: Iterable[Any]) -> dict[str, Any]:
    """Return attributes as a dictionary; lists and maps as text."""
    found = {}
    for attribute in attributes:
        kind = attribute.value.WhichOneof("value")
        value = getattr(attribute.value, kind) if kind else ""
        found[attribute.key] = value if isinstance(value, str | bool | int | float) else str(value)
    return found


class Registry:
    """The newest value of every series, by the names that Prometheus gives them."""

    def __init__(self) -> None:
        self._described: dict[str, tuple[str, str]] = {}
        self._series: dict[str, Series] = {}

    def add(self, request: ExportMetricsServiceRequest) -> None:
        """Take the metrics of an export request."""
        for resource in request.resource_metrics:
            service = str(values(resource.resource.attributes).get(SERVICE, ""))
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self._take(service, metric)

    def _take(self, service: str, metric: Any) -> None:
        kind = metric.WhichOneof("data")
        if kind not in ("sum", "gauge", "histogram"):
            return
        name = re.sub(r"[^a-zA-Z0-9_]", "_", metric.name) + UNITS.get(metric.unit, "")
        if kind == "sum":
            name += "_total"
        self._described[name] = (metric.description, {"sum": "counter"}.get(kind, kind))
        series = self._series.setdefault(name, {})
        for point in getattr(metric, kind).data_points:
            labels = {"service": service} | {
                re.sub(r"[^a-zA-Z0-9_]", "_", key): str(value) for key, value in values(point.attributes).items()
            }
            series[tuple(sorted(labels.items()))] = point

    def text(self) -> str:
        """Return all series in Prometheus' text format 0.0.4."""
        return "".join(line + "\n" for name in sorted(self._series) for line in self._lines(name))

    def _lines(self, name: str) -> Iterator[str]:
        description, kind = self._described[name]
        yield f"# HELP {name} {description}"
        yield f"# TYPE {name} {kind}"
        for labels, point in sorted(self._series[name].items()):
            if kind != "histogram":
                value = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
                yield f"{name}{labelled(labels)} {number(value)}"
                continue
            total = 0
            for bound, count in zip([*map(number, point.explicit_bounds), "+Inf"], point.bucket_counts, strict=True):
                total += count
                yield f"{name}_bucket{labelled((*labels, ('le', bound)))} {total}"
            yield f"{name}_sum{labelled(labels)} {number(point.sum)}"
            yield f"{name}_count{labelled(labels)} {point.count}"


def labelled(labels: Iterable[tuple[str, str]]) -> str:
    """Return labels as they stand behind a name."""
    return "{" + ",".join(f'{name}="{value.translate(ESCAPES)}"' for name, value in labels) + "}"


def number(value: float) -> str:
    """Return a number without a fraction of zero."""
    return str(int(value)) if value == int(value) else repr(value)
