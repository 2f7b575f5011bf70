"""What the parts report again and again is counted once, in the minute in which it grew."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from local.telemetry import otlp
from local.telemetry.history import History
from shared.telemetry import metrics
from shared.telemetry.metrics import Metric

START = datetime(2020, 1, 1, 12, 0, 0, tzinfo=UTC)
ACCEPTED = {"messaging.destination.name": "user-events", "aisle.outcome": "stored"}
APPLIED = {"faas.name": "update_preferences", "aisle.outcome": "applied"}


def request_of(route: str, status: int = 200, cache: str = "none") -> dict[str, object]:
    return {
        "faas.name": "products",
        "http.request.method": "GET",
        "http.route": route,
        "http.response.status_code": status,
        "aisle.cache": cache,
    }


class Part:
    """A part of the system that sends its metrics when the test says so."""

    def __init__(self, history: History, service: str) -> None:
        self._history = history
        self._reader = InMemoryMetricReader()
        provider = MeterProvider([self._reader], resource=Resource({"service.name": service}), shutdown_on_exit=False)
        meter = provider.get_meter("x")
        self._histograms = {
            metric.name: meter.create_histogram(metric.name, "s", explicit_bucket_boundaries_advisory=metrics.BUCKETS_S)
            for metric in (metrics.REQUEST_DURATION, metrics.PUBLISH_DURATION, metrics.APPLY_DURATION)
        }

    def record(self, metric: Metric, attributes: dict[str, object], seconds: float = 0.01, times: int = 1) -> None:
        for _ in range(times):
            self._histograms[metric.name].record(seconds, attributes)  # type: ignore[arg-type]  # values of all kinds

    def send(self, at: datetime) -> None:
        data = self._reader.get_metrics_data()
        if data is not None:
            self._history.add(otlp.metrics_of(encode_metrics(data).SerializeToString()), at)


@pytest.fixture
def history() -> History:
    # older than every series of the test
    return History(START)


@pytest.fixture
def part(history: History) -> Callable[[str], Part]:
    return lambda service: Part(history, service)


def counted(history: History, now: datetime) -> list[tuple[int, int, int]]:
    """Return the minutes with messages: which of the sixty, accepted, applied."""
    found = history.traffic(now)
    assert len(found) == 60
    assert found[-1].start + timedelta(minutes=1) <= now
    return [
        (place, minute.accepted, minute.applied)
        for place, minute in enumerate(found)
        if minute.accepted or minute.applied
    ]


def test_a_message_counts_once_in_its_minute_however_often_it_is_reported(
    history: History, part: Callable[[str], Part]
) -> None:
    gateway, events = part("gateway"), part("events")
    gateway.record(metrics.PUBLISH_DURATION, ACCEPTED, times=3)
    events.record(metrics.APPLY_DURATION, APPLIED, times=2)
    for seconds in (0, 5, 10):
        gateway.send(START + timedelta(seconds=seconds))
        events.send(START + timedelta(seconds=seconds))
    assert counted(history, START + timedelta(seconds=59)) == [(59, 3, 2)]
    gateway.record(metrics.PUBLISH_DURATION, ACCEPTED)
    gateway.send(START + timedelta(seconds=75))
    assert counted(history, START + timedelta(seconds=130)) == [(57, 3, 2), (59, 1, 0)]


def test_failures_other_topics_and_other_functions_are_no_events(history: History, part: Callable[[str], Part]) -> None:
    gateway = part("gateway")
    gateway.record(metrics.PUBLISH_DURATION, ACCEPTED | {"aisle.outcome": "failed"})
    gateway.record(metrics.PUBLISH_DURATION, ACCEPTED | {"messaging.destination.name": "catalog-changes"})
    gateway.record(metrics.APPLY_DURATION, APPLIED | {"aisle.outcome": "failed"})
    gateway.record(metrics.APPLY_DURATION, APPLIED | {"faas.name": "update_popularity"})
    gateway.send(START)
    assert counted(history, START + timedelta(seconds=10)) == []


def test_the_slot_of_now_counts_once_it_has_ended(history: History, part: Callable[[str], Part]) -> None:
    gateway = part("gateway")
    gateway.record(metrics.PUBLISH_DURATION, ACCEPTED)
    gateway.send(START)
    assert counted(history, START + timedelta(seconds=9)) == []
    assert counted(history, START + timedelta(seconds=10)) == [(59, 1, 0)]


def test_an_hour_later_a_message_is_forgotten(history: History, part: Callable[[str], Part]) -> None:
    gateway = part("gateway")
    gateway.record(metrics.PUBLISH_DURATION, ACCEPTED)
    gateway.record(metrics.REQUEST_DURATION, request_of("/products"))
    gateway.send(START)
    last = START + timedelta(hours=1)
    assert counted(history, last) == [(0, 1, 0)]
    assert len(history.routes(last)) == 1
    after = last + timedelta(seconds=10)
    assert counted(history, after) == []
    assert history.routes(after) == []


def test_a_message_is_remembered_for_an_hour_while_others_come(history: History, part: Callable[[str], Part]) -> None:
    gateway = part("gateway")
    gateway.record(metrics.PUBLISH_DURATION, ACCEPTED)
    gateway.send(START)
    gateway.record(metrics.PUBLISH_DURATION, ACCEPTED)
    gateway.send(START + timedelta(minutes=59, seconds=30))
    assert counted(history, START + timedelta(hours=1)) == [(0, 1, 0), (59, 1, 0)]


def test_parts_that_count_the_same_do_not_replace_each_other(history: History, part: Callable[[str], Part]) -> None:
    one, other = part("cart"), part("events")
    for second in (0, 5):
        one.record(metrics.PUBLISH_DURATION, ACCEPTED, times=2)
        other.record(metrics.PUBLISH_DURATION, ACCEPTED, times=3)
        one.send(START + timedelta(seconds=second))
        other.send(START + timedelta(seconds=second))
    assert counted(history, START + timedelta(seconds=10)) == [(59, 10, 0)]


def test_a_part_that_was_started_again_begins_at_zero(history: History, part: Callable[[str], Part]) -> None:
    for second in (0, 10):
        gateway = part("gateway")
        gateway.record(metrics.PUBLISH_DURATION, ACCEPTED, times=2)
        gateway.send(START + timedelta(seconds=second))
    assert counted(history, START + timedelta(seconds=30)) == [(59, 4, 0)]


def test_what_a_part_did_before_this_one_was_started_is_no_peak_of_now() -> None:
    history = History(datetime.now(UTC) + timedelta(hours=1))
    older = Part(history, "gateway")
    older.record(metrics.PUBLISH_DURATION, ACCEPTED, times=1000)
    older.send(START)
    older.record(metrics.PUBLISH_DURATION, ACCEPTED)
    older.send(START + timedelta(seconds=5))
    assert counted(history, START + timedelta(seconds=10)) == [(59, 1, 0)]


def test_routes_have_their_requests_errors_and_hits(history: History, part: Callable[[str], Part]) -> None:
    gateway = part("gateway")
    gateway.record(metrics.REQUEST_DURATION, request_of("/products", cache="hit"), 0.0015, times=8)
    gateway.record(metrics.REQUEST_DURATION, request_of("/products", cache="miss"), 0.03, times=2)
    gateway.record(metrics.REQUEST_DURATION, request_of("/products/{product_id}", 503), 0.7)
    gateway.send(START)
    products, product = history.routes(START + timedelta(seconds=1))
    assert (products.function, products.route, products.requests, products.failed) == (
        "products",
        "GET /products",
        10,
        0,
    )
    assert products.cache_hit_rate == pytest.approx(0.8)
    assert products.p50_ms is not None
    assert 1 < products.p50_ms < 2
    assert products.p95_ms is not None
    assert 20 < products.p95_ms < 50
    assert (product.route, product.requests, product.failed) == ("GET /products/{product_id}", 1, 1)
