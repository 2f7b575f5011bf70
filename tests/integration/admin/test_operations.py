"""GET /admin/operations: figures of the local telemetry or of Cloud Monitoring, and why one is missing."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from functions.admin.figures import cloud
from functions.admin.figures.source import NO_SOURCE, NoSource, Shared
from shared.domain.operations import Figures, Minute, Queue, Route, to_json
from tests.integration.admin.monitoring_server import Monitoring, monitoring, point
from tests.integration.answering import JsonHandler
from tests.integration.conftest import Serve, settings_of
from tests.integration.people import as_admin

MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 11, 26, 12, 0, 30, tzinfo=UTC)
# the last minute that Pub/Sub's delay lets anybody see
LAST = datetime(2026, 11, 26, 11, 56, tzinfo=UTC)


class Telemetry(ThreadingHTTPServer):
    """A stand-in for the part of the local system that receives telemetry."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), TelemetryHandler)
        self.url = f"http://127.0.0.1:{self.server_port}/operations"
        self.body: Any = to_json(
            Figures(
                [Minute(NOW, 4, 3)],
                [Queue("update_preferences", 1, 2.5)],
                [Route("products", "GET /products", 2, 1, 1.5, 9.0, 0.5)],
            )
        )
        self.status = 200
        self.requests = 0


class TelemetryHandler(JsonHandler):
    server: Telemetry

    def do_GET(self) -> None:  # noqa: N802 — named by http.server
        self.server.requests += 1
        self.answer(self.server.body, self.server.status)


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def telemetry(env: dict[str, str]) -> Iterator[Telemetry]:
    server = Telemetry()
    with running(server), settings_of(env | {"OPERATIONS_URL": server.url}):
        yield server


@pytest.fixture
def google() -> Iterator[Monitoring]:
    with monitoring() as server:
        yield server


def of_google(server: Monitoring, **more: str) -> dict[str, str]:
    """Return the settings that lead to the stand-in."""
    return {"GOOGLE_REST_EMULATOR_HOST": server.host, "GOOGLE_CLOUD_PROJECT": "aisle-local", **more}


def read(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/admin/operations")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def reasons(body: dict[str, Any]) -> dict[str, str]:
    return {each["figure"]: each["reason"] for each in body["unavailable"]}


def test_the_local_telemetry_is_shown_and_an_unchanged_answer_has_no_body(telemetry: Telemetry, serve: Serve) -> None:
    client = as_admin(serve("admin"))
    answer = client.get("/admin/operations")
    body = answer.json()
    assert body["source"] == "local"
    assert body["traffic"] == [{"start": NOW.isoformat(), "accepted": 4, "applied": 3}]
    assert body["queues"] == [{"subscription": "update_preferences", "waiting": 1, "oldest_age_s": 2.5}]
    assert body["routes"] == [
        {
            "function": "products",
            "route": "GET /products",
            "requests": 2,
            "failed": 1,
            "error_share": 0.5,
            "p50_ms": 1.5,
            "p95_ms": 9.0,
            "cache_hit_rate": 0.5,
        }
    ]
    assert body["unavailable"] == []
    again = client.get("/admin/operations", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "private" in answer.headers["Cache-Control"]


def test_a_part_that_answers_nothing_of_use_costs_the_figures_and_not_the_answer(
    telemetry: Telemetry, serve: Serve
) -> None:
    client = as_admin(serve("admin"))
    for status, body in ((500, {}), (200, {"traffic": None}), (200, [])):
        telemetry.status, telemetry.body = status, body
        from functions.admin.figures.source import shared

        shared.forget()
        found = read(client)
        assert (found["traffic"], found["queues"], found["routes"]) == (None, None, None)
        assert set(reasons(found)) == {"queues", "routes", "traffic"}


def test_where_nothing_answers_the_reason_is_given(env: dict[str, str], serve: Serve) -> None:
    gone = Telemetry()
    gone.server_close()
    with settings_of(env | {"OPERATIONS_URL": gone.url}):
        found = reasons(read(as_admin(serve("admin"))))
    assert found["traffic"] == "The telemetry part does not answer. See ./aisle status."


def test_without_a_source_the_answer_says_so(env: dict[str, str], serve: Serve) -> None:
    found = read(as_admin(serve("admin")))
    assert found["source"] == "none"
    assert reasons(found) == dict.fromkeys(("queues", "routes", "traffic"), NO_SOURCE)


def test_ten_consoles_cost_one_query(telemetry: Telemetry, serve: Serve) -> None:
    client = as_admin(serve("admin"))
    with ThreadPoolExecutor(10) as consoles:
        answers = list(consoles.map(lambda _: client.get("/admin/operations").headers["ETag"], range(10)))
    assert len(set(answers)) == 1
    assert telemetry.requests == 1


def test_an_answer_is_asked_for_again_once_it_is_old() -> None:
    now = [0.0]
    asked = []

    class Counting(NoSource):
        fresh_s = 5.0

        def read(self) -> Figures:
            asked.append(now[0])
            return super().read()

    kept = Shared(lambda: now[0])
    for at in (0.0, 4.9, 5.0, 9.9, 10.0):
        now[0] = at
        kept.answer(Counting)
    assert asked == [0.0, 5.0, 10.0]


# in the cloud


def distribution(counts: list[int], **options: Any) -> dict[str, Any]:
    """Return a value as the API writes it: counts as text, empty buckets at the end left out."""
    while counts and counts[-1] == 0:
        counts = counts[:-1]
    value: dict[str, Any] = {"count": str(sum(counts)), "mean": 1.0, "bucketOptions": options}
    return {"distributionValue": value | ({"bucketCounts": [str(count) for count in counts]} if counts else {})}


EXPONENTIAL = {"exponentialBuckets": {"numFiniteBuckets": 66, "growthFactor": 1.4, "scale": 1.0}}
EXPLICIT = {"explicitBuckets": {"bounds": [0.01, 0.1, 1]}}


def fill(google: Monitoring) -> None:
    """Put an hour of a shop into the stand-in."""
    google.add(
        cloud.ACCEPTED,
        [point(LAST, {"int64Value": "7"}), point(LAST - 2 * MINUTE, {"int64Value": "5"})],
        {"response_class": "success", "response_code": "OK"},
        topic_id="user-events",
    )
    # refused messages and other topics are no accepted events
    google.add(
        cloud.ACCEPTED, [point(LAST, {"int64Value": "99"})], {"response_class": "internal"}, topic_id="user-events"
    )
    google.add(
        cloud.ACCEPTED, [point(LAST, {"int64Value": "99"})], {"response_class": "success"}, topic_id="catalog-changes"
    )
    google.add(
        cloud.APPLIED,
        [point(LAST, {"int64Value": "6"})],
        {"delivery_type": "push"},
        subscription_id="update_preferences",
    )
    google.add(cloud.APPLIED, [point(LAST, {"int64Value": "99"})], {}, subscription_id="update_popularity")
    for subscription, waiting, age in (
        ("update_preferences", 3, 12),
        ("refresh_catalog", 0, 0),
        ("update_popularity", 1, 0),
    ):
        samples = [(NOW - 3 * MINUTE, waiting, age), (NOW - 5 * MINUTE, 88, 88)]
        for metric, column in ((cloud.WAITING, 1), (cloud.OLDEST, 2)):
            points = [point(sample[0], {"int64Value": str(sample[column])}) for sample in samples]
            google.add(metric, points, {}, subscription_id=subscription)
    google.add(cloud.WAITING, [point(NOW, {"int64Value": "77"})], {}, subscription_id="user-events-dead-letter")
    # 1.4 ** 10 is 28.9 ms, 1.4 ** 11 is 40.5 ms
    counts = [0] * 11 + [10]
    google.add(
        cloud.LATENCIES,
        [point(NOW, distribution(counts, **EXPONENTIAL))],
        {"response_code_class": "2xx"},
        service_name="products",
    )
    google.add(
        cloud.LATENCIES,
        [point(NOW, distribution([0] * 11 + [2], **EXPONENTIAL))],
        {"response_code_class": "5xx"},
        service_name="products",
    )
    google.add(
        cloud.LATENCIES,
        [point(NOW, distribution([], **EXPONENTIAL))],
        {"response_code_class": "2xx"},
        service_name="cart",
    )
    # a job, and a service of somebody else's
    for other in ("trending", "wordpress"):
        google.add(
            cloud.LATENCIES,
            [point(NOW, distribution(counts, **EXPONENTIAL))],
            {"response_code_class": "2xx"},
            service_name=other,
        )


def test_in_the_cloud_the_platforms_own_metrics_are_read(env: dict[str, str], google: Monitoring) -> None:
    fill(google)
    with settings_of(env | of_google(google)):
        figures = cloud.CloudMonitoring("aisle-local", lambda: NOW).read()
    assert figures.traffic is not None
    assert len(figures.traffic) == 60
    assert figures.traffic[-1] == Minute(LAST - MINUTE, 7, 6)
    assert figures.traffic[-3] == Minute(LAST - 3 * MINUTE, 5, 0)
    assert sum(minute.accepted for minute in figures.traffic) == 12
    assert figures.queues == [
        Queue("refresh_catalog", 0, None),
        Queue("update_popularity", 1, None),
        Queue("update_preferences", 3, 12),
    ]
    assert figures.routes is not None
    (products,) = figures.routes
    assert (products.function, products.route, products.requests, products.failed) == ("products", None, 12, 2)
    assert products.p50_ms == pytest.approx((1.4**10 + 1.4**11) / 2, abs=0.001)
    assert products.cache_hit_rate is None
    assert figures.unavailable == {"cache": cloud.NO_HITS}


def test_series_of_the_same_minute_are_added_up(env: dict[str, str], google: Monitoring) -> None:
    fill(google)
    # the second series shares a minute with the first one, and has one of its own
    google.add(
        cloud.ACCEPTED,
        [point(LAST, {"int64Value": "30"}), point(LAST - MINUTE, {"int64Value": "4"})],
        {"response_class": "success", "response_code": "CANCELLED"},
        topic_id="user-events",
    )
    with settings_of(env | of_google(google)):
        figures = cloud.CloudMonitoring("aisle-local", lambda: NOW).read()
    assert figures.traffic is not None
    assert figures.traffic[-3:] == [
        Minute(LAST - 3 * MINUTE, 5, 0),
        Minute(LAST - 2 * MINUTE, 4, 0),
        Minute(LAST - MINUTE, 37, 6),
    ]
    assert sum(minute.accepted for minute in figures.traffic) == 46


def test_the_queries_are_those_of_the_reference(env: dict[str, str], google: Monitoring) -> None:
    fill(google)
    with settings_of(env | of_google(google)):
        cloud.CloudMonitoring("aisle-local", lambda: NOW).read()
    by_metric = {query["filter"][0].split('"')[1]: query for query in google.queries if "pageToken" not in query}
    assert by_metric[cloud.ACCEPTED] == {
        "filter": [
            f'metric.type = "{cloud.ACCEPTED}" AND resource.labels.topic_id = "user-events" AND '
            'metric.labels.response_class = "success"'
        ],
        "interval.startTime": ["2026-11-26T10:56:00Z"],
        "interval.endTime": ["2026-11-26T11:56:00Z"],
        "view": ["FULL"],
        "aggregation.alignmentPeriod": ["60s"],
        "aggregation.perSeriesAligner": ["ALIGN_DELTA"],
        "aggregation.crossSeriesReducer": ["REDUCE_SUM"],
    }
    assert by_metric[cloud.WAITING]["interval.startTime"] == ["2026-11-26T11:50:30Z"]
    assert by_metric[cloud.LATENCIES]["aggregation.groupByFields"] == [
        "resource.labels.service_name",
        "metric.labels.response_code_class",
    ]


def test_what_the_functions_send_to_google_tells_routes_and_cache_apart(
    env: dict[str, str], google: Monitoring
) -> None:
    fill(google)
    labels = {
        "faas.name": "products",
        "http.request.method": "GET",
        "http.route": "/products",
        "http.response.status_code": "200",
        "aisle.cache": "hit",
    }
    # two instances, of which one was stopped within the hour, so that its series has two points
    first = [point(NOW, distribution([3], **EXPLICIT)), point(NOW - MINUTE, distribution([0, 1], **EXPLICIT))]
    google.add(cloud.OWN, first, labels, instance="one")
    google.add(cloud.OWN, [point(NOW, distribution([0, 0, 0, 4], **EXPLICIT))], labels, instance="two")
    google.add(cloud.OWN, [point(NOW, distribution([2], **EXPLICIT))], labels | {"aisle.cache": "miss"}, instance="two")
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://telemetry.googleapis.com", "OTEL_SDK_DISABLED": "true"}
    with settings_of(env | of_google(google, **endpoint)):
        figures = cloud.CloudMonitoring("aisle-local", lambda: NOW).read()
    assert figures.routes is not None
    (products,) = figures.routes
    assert (products.function, products.route, products.requests) == ("products", "GET /products", 10)
    assert products.cache_hit_rate == pytest.approx(0.8)
    # above the last bound nothing is known
    assert products.p95_ms == 1000
    assert figures.unavailable == {}


def test_a_query_that_is_refused_costs_its_own_figure_alone(env: dict[str, str], google: Monitoring) -> None:
    fill(google)
    google.failing[cloud.WAITING] = (403, "Permission monitoring.timeSeries.list denied")
    with settings_of(env | of_google(google)):
        figures = cloud.CloudMonitoring("aisle-local", lambda: NOW).read()
    assert figures.queues is None
    assert figures.unavailable["queues"] == (
        "monitoring.googleapis.com answers 403: Permission monitoring.timeSeries.list denied"
    )
    assert figures.traffic is not None
    assert figures.routes is not None


def test_an_answer_of_another_shape_costs_its_own_figure_alone(env: dict[str, str], google: Monitoring) -> None:
    fill(google)
    google.series[cloud.LATENCIES] = [{"points": [{"value": {}}], "resource": {"labels": {"service_name": "products"}}}]
    with settings_of(env | of_google(google)):
        figures = cloud.CloudMonitoring("aisle-local", lambda: NOW).read()
    assert figures.routes is None
    assert figures.unavailable["routes"] == "Cloud Monitoring's answer cannot be read: KeyError."
    assert figures.queues is not None


def test_the_route_reads_cloud_monitoring_in_a_deployment(
    env: dict[str, str], google: Monitoring, serve: Serve
) -> None:
    with settings_of(env | of_google(google)):
        found = read(as_admin(serve("admin")))
    assert found["source"] == "cloud_monitoring"
    # a new shop has no series at all
    assert (len(found["traffic"]), found["queues"], found["routes"]) == (60, [], [])
