"""Figures of a deployment, from Cloud Monitoring.

Pub/Sub and Cloud Run write what this reads, without a line of ours. If the functions also send their own metrics to
Google (terraform's ``otlp_endpoint``), requests are told apart by route and cache.

The API: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/list, its metrics:
https://cloud.google.com/monitoring/api/metrics_gcp
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from shared.clients import google_rest
from shared.domain.operations import APPLIES, WINDOW, Figures, Minute, Queue, Requests, Route, by_route, floor, minutes
from shared.errors import AppError
from shared.manifest import manifest
from shared.messages import USER_EVENTS
from shared.settings import settings

HOST: Final = "monitoring.googleapis.com"
MINUTE: Final = timedelta(minutes=1)
# Pub/Sub's values are visible up to four minutes after they were sampled
DELAY: Final = timedelta(minutes=4)
# a gauge is sampled every minute; the newest sample in this time counts
RECENT: Final = timedelta(minutes=10)
PAGES_MAX: Final = 20
MILLISECONDS: Final = 1000
ACCEPTED: Final = "pubsub.googleapis.com/topic/send_message_operation_count"
APPLIED: Final = "pubsub.googleapis.com/subscription/ack_message_count"
WAITING: Final = "pubsub.googleapis.com/subscription/num_undelivered_messages"
OLDEST: Final = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"
LATENCIES: Final = "run.googleapis.com/request_latencies"
# shared.telemetry's http.server.request.duration, as Google names what it receives by OTLP
OWN: Final = "prometheus.googleapis.com/http.server.request.duration/histogram"
NO_HITS: Final = (
    "Cloud Run knows neither routes nor cache hits. Set otlp_endpoint in Terraform, so that the functions send both "
    "(docs/observability.md)."
)

Series = dict[str, Any]
Result = TypeVar("Result")


class CloudMonitoring:
    """Reads the time series of a project."""

    name = "cloud_monitoring"
    # the values are sampled once a minute
    fresh_s = 20.0

    def __init__(self, project: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._project = project
        self._now = now

    def read(self) -> Figures:
        """Return the figures as they are now. A query that fails costs its own figure alone."""
        unavailable: dict[str, str] = {}

        def tried(figure: str, read: Callable[[], Result]) -> Result | None:
            try:
                return read()
            except AppError as error:
                unavailable[figure] = error.detail or error.title
            except (KeyError, TypeError, ValueError) as error:
                unavailable[figure] = f"Cloud Monitoring's answer cannot be read: {type(error).__name__}."
            return None

        with ThreadPoolExecutor(3, thread_name_prefix="monitoring") as pool:
            traffic = pool.submit(tried, "traffic", self.traffic)
            queues = pool.submit(tried, "queues", self.queues)
            routes = pool.submit(tried, "routes", self.routes)
        found, has_cache = routes.result() or (None, False)
        if found is not None and not has_cache:
            unavailable["cache"] = NO_HITS
        return Figures(traffic.result(), queues.result(), found, unavailable)

    def traffic(self) -> list[Minute]:
        """Return the messages with events that Pub/Sub took and that were acknowledged, by minute."""
        end = floor(self._now() - DELAY, MINUTE)
        accepted = self._by_minute(ACCEPTED, end, {"topic_id": USER_EVENTS}, 'metric.labels.response_class = "success"')
        return minutes(end, accepted, self._by_minute(APPLIED, end, {"subscription_id": APPLIES}))

    def _by_minute(self, metric: str, end: datetime, resource: Mapping[str, str], *further: str) -> dict[datetime, int]:
        conditions = [f'resource.labels.{label} = "{value}"' for label, value in resource.items()]
        query = {
            "aggregation.alignmentPeriod": "60s",
            "aggregation.perSeriesAligner": "ALIGN_DELTA",
            "aggregation.crossSeriesReducer": "REDUCE_SUM",
        }
        counts: dict[datetime, int] = {}
        for series in self._series(metric, end, WINDOW, [*conditions, *further], query):
            for point in series["points"]:
                minute = _end_of(point)
                counts[minute] = counts.get(minute, 0) + int(point["value"]["int64Value"])
        return counts

    def queues(self) -> list[Queue]:
        """Return what waits for each event function, by the newest sample."""
        names = [entry.name for entry in manifest().of_kind("event")]
        condition = f"resource.labels.subscription_id = {_one_of(names)}"
        waiting = self._newest(WAITING, condition)
        oldest = self._newest(OLDEST, condition)
        # the age is also sampled while nothing waits; it is then 0
        return [Queue(name, waiting[name], oldest.get(name) or None) for name in sorted(waiting)]

    def _newest(self, metric: str, condition: str) -> dict[str, int]:
        found = {}
        for series in self._series(metric, self._now(), RECENT, [condition], {}):
            newest = max(series["points"], key=_end_of)
            found[series["resource"]["labels"]["subscription_id"]] = int(newest["value"]["int64Value"])
        return found

    def routes(self) -> tuple[list[Route], bool]:
        """Return the requests of the last hour by route, else by function, and whether their cache is known."""
        endpoint = settings().otel_exporter_otlp_endpoint
        if endpoint and urlsplit(endpoint).hostname == "telemetry.googleapis.com":
            query = {"aggregation.alignmentPeriod": _period(WINDOW), "aggregation.perSeriesAligner": "ALIGN_DELTA"}
            own = by_route(map(_of_route, self._distributions(OWN, [], query)))
            if own:
                return own, True
        served = [entry for kind in ("http", "edge") for entry in manifest().of_kind(kind)]
        services = {entry.name.replace("_", "-"): entry.name for entry in served}
        by_service: google_rest.Query = {
            "aggregation.alignmentPeriod": _period(WINDOW),
            "aggregation.perSeriesAligner": "ALIGN_DELTA",
            "aggregation.crossSeriesReducer": "REDUCE_SUM",
            "aggregation.groupByFields": ["resource.labels.service_name", "metric.labels.response_code_class"],
        }
        condition = f"resource.labels.service_name = {_one_of(sorted(services))}"
        found = self._distributions(LATENCIES, [condition], by_service)
        return by_route(_of_service(series, services) for series in found), False

    def _distributions(self, metric: str, conditions: Sequence[str], query: google_rest.Query) -> Iterator[Series]:
        """Yield the series that have requests, each with one point for the last hour."""
        for series in self._series(metric, self._now(), WINDOW, conditions, query):
            if any("bucketCounts" in point["value"]["distributionValue"] for point in series["points"]):
                yield series

    def _series(
        self, metric: str, end: datetime, window: timedelta, conditions: Sequence[str], query: google_rest.Query
    ) -> Iterator[Series]:
        """Yield the time series of a metric in the ``window`` before ``end``. Raises Unavailable."""
        asked: dict[str, Any] = {
            "filter": " AND ".join([f'metric.type = "{metric}"', *conditions]),
            "interval.startTime": _text(end - window),
            "interval.endTime": _text(end),
            "view": "FULL",
            **query,
        }
        for _page in range(PAGES_MAX):
            answer = google_rest.call(HOST, "GET", f"/v3/projects/{self._project}/timeSeries", asked)
            yield from answer.get("timeSeries", [])
            if not (token := answer.get("nextPageToken")):
                return
            asked["pageToken"] = token


def _of_route(series: Series) -> Requests:
    # the API writes labels with their dots or without
    labels = {name.replace(".", "_"): value for name, value in series["metric"].get("labels", {}).items()}
    bounds, counts = _buckets(series)
    return Requests(
        labels["faas_name"],
        f"{labels['http_request_method']} {labels['http_route']}",
        int(labels["http_response_status_code"]),
        labels.get("aisle_cache", "none"),
        bounds,
        counts,
    )


def _of_service(series: Series, services: Mapping[str, str]) -> Requests:
    service = series["resource"]["labels"]["service_name"]
    code = series["metric"].get("labels", {}).get("response_code_class", "")
    bounds, counts = _buckets(series)
    in_seconds = [bound / MILLISECONDS for bound in bounds]
    status = int(code[0]) * 100 if code[:1].isdigit() else 0
    return Requests(services.get(service, service), None, status, None, in_seconds, counts)


def _buckets(series: Series) -> tuple[list[float], list[int]]:
    """Return the upper bounds and counts of a series, whose points are added up.

    The first bucket lies below the first bound. Counts of empty buckets at the end are left out by the API.
    """
    bounds: list[float] = []
    sums: list[int] = []
    for point in series["points"]:
        distribution = point["value"]["distributionValue"]
        if "bucketCounts" not in distribution:
            continue
        bounds = _bounds(distribution["bucketOptions"])
        counts = [int(count) for count in distribution["bucketCounts"]]
        counts += [0] * (len(bounds) + 1 - len(counts))
        sums = [one + other for one, other in zip(sums, counts, strict=True)] if sums else counts
    return bounds, sums


def _bounds(options: Mapping[str, Any]) -> list[float]:
    if explicit := options.get("explicitBuckets"):
        return [float(bound) for bound in explicit["bounds"]]
    if exponential := options.get("exponentialBuckets"):
        scale, growth = float(exponential["scale"]), float(exponential["growthFactor"])
        return [scale * growth**power for power in range(int(exponential["numFiniteBuckets"]) + 1)]
    linear = options["linearBuckets"]
    offset, width = float(linear.get("offset", 0)), float(linear["width"])
    return [offset + width * place for place in range(int(linear["numFiniteBuckets"]) + 1)]


def _one_of(names: Sequence[str]) -> str:
    return "one_of({})".format(", ".join(f'"{name}"' for name in names))


def _period(window: timedelta) -> str:
    return f"{int(window.total_seconds())}s"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _end_of(point: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(point["interval"]["endTime"])
