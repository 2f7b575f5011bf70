"""The last hour of the requests and messages that the parts report, from the running totals of their exports.

A part sends each total again and again; what counts is by how much it grew. A part that was started again begins at
zero, which the start time of its series tells.
"""

import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from local.telemetry.otlp import SERVICE, values
from shared.domain.operations import APPLIES, WINDOW, Minute, Requests, Route, by_route, floor, minutes
from shared.messages import USER_EVENTS
from shared.telemetry import metrics, spans

# so fine that a minute ends a few seconds ago at most
SLOT: Final = timedelta(seconds=10)
WATCHED: Final = {
    metric.name for metric in (metrics.REQUEST_DURATION, metrics.PUBLISH_DURATION, metrics.APPLY_DURATION)
}

Key = tuple[str, str, tuple[tuple[str, Any], ...]]


class History:
    """What grew in each slot of the last hour, by metric and attributes."""

    def __init__(self, now: datetime | None = None) -> None:
        self._began_ns = _nanoseconds(now or datetime.now(UTC))
        self._lock = threading.Lock()
        # start time and counts of each series as they were last sent
        self._last: dict[Key, tuple[int, list[int]]] = {}
        self._slots: dict[datetime, dict[Key, list[int]]] = {}
        self._bounds: dict[Key, tuple[float, ...]] = {}

    def add(self, request: ExportMetricsServiceRequest, now: datetime | None = None) -> None:
        """Take the metrics of an export request."""
        moment = now or datetime.now(UTC)
        slot = floor(moment, SLOT)
        with self._lock:
            for resource in request.resource_metrics:
                service = str(values(resource.resource.attributes).get(SERVICE, ""))
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        if metric.name in WATCHED and metric.WhichOneof("data") == "histogram":
                            self._take(service, metric, slot)
            for old in [each for each in self._slots if each < slot - WINDOW]:
                del self._slots[old]

    def _take(self, service: str, metric: Any, slot: datetime) -> None:
        for point in metric.histogram.data_points:
            key: Key = (service, metric.name, tuple(sorted(values(point.attributes).items())))
            counts = list(point.bucket_counts)
            started, before = self._last.get(key, (0, []))
            self._last[key] = (point.start_time_unix_nano, counts)
            self._bounds[key] = tuple(point.explicit_bounds)
            if not before and point.start_time_unix_nano < self._began_ns:
                # the part is older than this one: when its total grew is unknown
                continue
            is_same_run = started == point.start_time_unix_nano and len(before) == len(counts)
            grown = [new - old for new, old in zip(counts, before, strict=True)] if is_same_run else counts
            if any(grown):
                slots = self._slots.setdefault(slot, {})
                sums = slots.get(key)
                slots[key] = grown if sums is None else [one + other for one, other in zip(sums, grown, strict=True)]

    def traffic(self, now: datetime | None = None) -> list[Minute]:
        """Return the messages with events of each of the last 60 minutes, which end with the last slot."""
        end = floor(now or datetime.now(UTC), SLOT)
        accepted: dict[datetime, int] = {}
        applied: dict[datetime, int] = {}
        with self._lock:
            for slot, grown in self._slots.items():
                # the end of the slot's minute; a slot that has not ended is left out
                ago = (end - slot - SLOT) // timedelta(minutes=1)
                minute = end - timedelta(minutes=ago)
                if slot >= end:
                    continue
                for (_service, metric, attributes), counts in grown.items():
                    described = dict(attributes)
                    if metric == metrics.PUBLISH_DURATION.name and _is(
                        described, {"messaging.destination.name": USER_EVENTS, "aisle.outcome": "stored"}
                    ):
                        accepted[minute] = accepted.get(minute, 0) + sum(counts)
                    elif metric == metrics.APPLY_DURATION.name and _is(
                        described, {spans.FUNCTION: APPLIES, "aisle.outcome": "applied"}
                    ):
                        applied[minute] = applied.get(minute, 0) + sum(counts)
        return minutes(end, accepted, applied)

    def routes(self, now: datetime | None = None) -> list[Route]:
        """Return the requests of the last hour by route."""
        since = floor(now or datetime.now(UTC), SLOT) - WINDOW
        with self._lock:
            return by_route(
                _requests(dict(attributes), self._bounds[key], counts)
                for slot, grown in self._slots.items()
                if slot >= since
                for key, counts in grown.items()
                for _service, metric, attributes in (key,)
                if metric == metrics.REQUEST_DURATION.name
            )


def _requests(attributes: Mapping[str, Any], bounds: Iterable[float], counts: list[int]) -> Requests:
    method, route = attributes.get("http.request.method", ""), attributes.get("http.route", "")
    return Requests(
        str(attributes.get(spans.FUNCTION, "")),
        f"{method} {route}",
        int(attributes.get("http.response.status_code", 0)),
        str(attributes.get("aisle.cache", "none")),
        tuple(bounds),
        counts,
    )


def _is(attributes: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(attributes.get(name) == value for name, value in wanted.items())


def _nanoseconds(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e9)
