"""The figures in the console's operations view, computed from counters and histograms. No I/O.

Times are in UTC. A figure that its source cannot provide is None, with the reason in ``Figures.unavailable``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

WINDOW: Final = timedelta(hours=1)
MINUTES: Final = WINDOW // timedelta(minutes=1)
# The function that stores events; its subscription has the same name. Other functions get some of the same messages.
APPLIES: Final = "update_preferences"
# Names of the figures for which a reason is given if they are missing; `cache` is part of the routes.
FIGURES: Final = ("queues", "routes", "traffic")
# Statuses from this one on are server errors, not client errors.
SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Minute:
    """Numbers of messages in a minute: those accepted by Pub/Sub, and those whose events took effect."""

    start: datetime
    accepted: int
    applied: int


@dataclass(frozen=True, slots=True)
class Queue:
    """The backlog of an event function. ``oldest_age_s`` is None if there is no backlog or it is unknown."""

    subscription: str
    waiting: int
    oldest_age_s: float | None


@dataclass(frozen=True, slots=True)
class Requests:
    """Duration histogram of the requests of a route with the same status and cache state.

    ``counts`` has a number for each bucket: up to each of ``bounds_s``, and above the last. ``cache`` is None if the
    source does not know it; ``route`` is None if it knows only the function.
    """

    function: str
    route: str | None
    status: int
    cache: str | None
    bounds_s: Sequence[float]
    counts: Sequence[int]


@dataclass(frozen=True, slots=True)
class Route:
    """The requests of a route, or of a function, in the last hour.

    The hit rate covers cacheable responses; it is None if there are none or it is unknown.
    """

    function: str
    route: str | None
    requests: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None
    cache_hit_rate: float | None


@dataclass(frozen=True)
class Figures:
    """All figures of the view, and for each missing figure, by name, the reason."""

    traffic: list[Minute] | None = None
    queues: list[Queue] | None = None
    routes: list[Route] | None = None
    unavailable: Mapping[str, str] = field(default_factory=dict)


def percentile_s(buckets: Mapping[tuple[float, float], int], share: float) -> float | None:
    """Return the duration that ``share`` of the requests do not exceed, in seconds; None without requests.

    ``buckets`` are counts by lower and upper bound. Durations within a bucket are assumed to be evenly distributed; for
    the last one, which has no upper bound, the lower bound is returned (like Prometheus' ``histogram_quantile``).
    """
    wanted = share * sum(buckets.values())
    if wanted <= 0:
        return None
    seen = 0
    for (low, high), count in sorted(buckets.items(), key=lambda bucket: bucket[0][::-1]):
        if count and seen + count >= wanted:
            return low if high == float("inf") else low + (high - low) * (wanted - seen) / count
        seen += count
    raise AssertionError("the counts sum up to less than their sum")


def by_route(requests: Iterable[Requests]) -> list[Route]:
    """Return the figures of each route, ordered by descending number of requests."""
    grouped: dict[tuple[str, str | None], list[Requests]] = {}
    for each in requests:
        if any(each.counts):
            grouped.setdefault((each.function, each.route), []).append(each)
    routes = [_route(function, route, parts) for (function, route), parts in grouped.items()]
    return sorted(routes, key=lambda route: (-route.requests, route.function, route.route or ""))


def _route(function: str, route: str | None, parts: Sequence[Requests]) -> Route:
    buckets: dict[tuple[float, float], int] = {}
    hits = storable = failed = total = 0
    for part in parts:
        bounds = [0.0, *part.bounds_s, float("inf")]
        for low, high, count in zip(bounds, bounds[1:], part.counts, strict=False):
            buckets[low, high] = buckets.get((low, high), 0) + count
        number = sum(part.counts)
        total += number
        failed += number if part.status >= SERVER_ERROR else 0
        hits += number if part.cache == "hit" else 0
        storable += number if part.cache in ("hit", "miss") else 0
    p50, p95 = percentile_s(buckets, 0.5), percentile_s(buckets, 0.95)
    return Route(
        function,
        route,
        total,
        failed,
        None if p50 is None else round(p50 * 1000, 3),
        None if p95 is None else round(p95 * 1000, 3),
        hits / storable if storable else None,
    )


def minutes(end: datetime, accepted: Mapping[datetime, int], applied: Mapping[datetime, int]) -> list[Minute]:
    """Return the minutes of the hour before ``end``, oldest first; counts missing from a mapping are 0.

    The mappings give the count by the end of each minute.
    """
    ends = [end - timedelta(minutes=ago) for ago in range(MINUTES - 1, -1, -1)]
    return [Minute(each - timedelta(minutes=1), accepted.get(each, 0), applied.get(each, 0)) for each in ends]


def to_json(figures: Figures) -> dict[str, Any]:
    """Return the figures as JSON values."""
    return {
        "traffic": None
        if figures.traffic is None
        else [
            {"start": minute.start.isoformat(), "accepted": minute.accepted, "applied": minute.applied}
            for minute in figures.traffic
        ],
        "queues": None
        if figures.queues is None
        else [
            {"subscription": queue.subscription, "waiting": queue.waiting, "oldest_age_s": queue.oldest_age_s}
            for queue in figures.queues
        ],
        "routes": None
        if figures.routes is None
        else [
            {
                "function": route.function,
                "route": route.route,
                "requests": route.requests,
                "failed": route.failed,
                "error_share": route.failed / route.requests,
                "p50_ms": route.p50_ms,
                "p95_ms": route.p95_ms,
                "cache_hit_rate": route.cache_hit_rate,
            }
            for route in figures.routes
        ],
        "unavailable": [{"figure": name, "reason": reason} for name, reason in sorted(figures.unavailable.items())],
    }


def from_json(values: Mapping[str, Any]) -> Figures:
    """Return the figures from the output of ``to_json``. Raises KeyError, TypeError or ValueError for anything else."""
    traffic, queues, routes = values["traffic"], values["queues"], values["routes"]
    return Figures(
        None
        if traffic is None
        else [Minute(datetime.fromisoformat(each["start"]), each["accepted"], each["applied"]) for each in traffic],
        None if queues is None else [Queue(**queue) for queue in queues],
        None
        if routes is None
        else [Route(**{name: value for name, value in route.items() if name != "error_share"}) for route in routes],
        {each["figure"]: each["reason"] for each in values["unavailable"]},
    )


def floor(moment: datetime, step: timedelta) -> datetime:
    """Return the last multiple of ``step`` since 1970 that is not after ``moment``."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return moment - since % step
