"""Metrics: how long, how many, and of which version. docs/observability.md explains each to the people who watch them.

Like spans they are off, and cost nothing, unless OTEL_EXPORTER_OTLP_ENDPOINT is set.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final

from shared.clients import closed_on_reset
from shared.telemetry import spans
from shared.telemetry.spans import Value, is_on

# seconds: from an answer out of Redis to a message that waited for an hour
BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600)


class Kind(Enum):
    """How values of a metric add up."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True)
class Metric:
    """A metric: its name and unit in OpenTelemetry's terms, and what it tells."""

    name: str
    kind: Kind
    unit: str
    description: str


REQUEST_DURATION: Final = Metric(
    "http.server.request.duration", Kind.HISTOGRAM, "s", "time to answer a request, by function, route and cache"
)
PUBLISH_DURATION: Final = Metric(
    "aisle.publish.duration", Kind.HISTOGRAM, "s", "time until Pub/Sub had stored a message, by topic and outcome"
)
MESSAGE_AGE: Final = Metric(
    "aisle.message.age", Kind.HISTOGRAM, "s", "age of a message when a function begins with it: the age of the queue"
)
APPLY_DURATION: Final = Metric(
    "aisle.apply.duration", Kind.HISTOGRAM, "s", "time to apply a message, by function and outcome"
)
JOB_DURATION: Final = Metric("aisle.job.duration", Kind.HISTOGRAM, "s", "time of a job's run, by job and outcome")
ANSWERS: Final = Metric(
    "aisle.recommendations.answers", Kind.COUNTER, "{answer}", "computed recommendations, by strategy"
)
SEARCHES: Final = Metric("aisle.searches", Kind.COUNTER, "{search}", "searches, by whether they had results")
MODEL_VERSION: Final = Metric(
    "aisle.model.version", Kind.GAUGE, "{version}", "version of the model that answers come from"
)
METRICS: Final = (
    REQUEST_DURATION,
    PUBLISH_DURATION,
    MESSAGE_AGE,
    APPLY_DURATION,
    JOB_DURATION,
    ANSWERS,
    SEARCHES,
    MODEL_VERSION,
)


def record(metric: Metric, value: float, attributes: Mapping[str, Value]) -> None:
    """Add a value to a metric. Attributes must have few different values: each combination is a series of its own."""
    if not is_on():
        return
    instrument = _instrument(metric)
    match metric.kind:
        case Kind.COUNTER:
            instrument.add(value, attributes)
        case Kind.HISTOGRAM:
            instrument.record(value, attributes)
        case Kind.GAUGE:
            instrument.set(value, attributes)


def flush() -> None:
    """Send what is recorded: once it has answered, a deployed job's instance has no processor time, and may end."""
    if spans.IS_DEPLOYED and is_on():
        from shared.telemetry import exporting

        exporting.flush_metrics()


@cache
def _instrument(metric: Metric) -> Any:
    from shared.telemetry import exporting

    meter = exporting.meter()
    match metric.kind:
        case Kind.COUNTER:
            return meter.create_counter(metric.name, metric.unit, metric.description)
        case Kind.HISTOGRAM:
            return meter.create_histogram(
                metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=BUCKETS_S
            )
        case Kind.GAUGE:
            return meter.create_gauge(metric.name, metric.unit, metric.description)


@closed_on_reset
def close() -> None:
    """Forget the instruments, which belong to one set-up of the SDK."""
    _instrument.cache_clear()
