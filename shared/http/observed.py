"""A request as seen by traces and metrics: its route, status, duration, and whether the answer came from the cache."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Scope

from shared.http.answers import CACHE_HIT
from shared.http.routes import path_of
from shared.telemetry import metrics, spans

UNKNOWN_ROUTE: Final = "unknown"
CACHE_STATUS: Final = b"cache-status"
# A client may send any other word as a method, and each would create its own time series.
METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "QUERY"})
OTHER_METHOD: Final = "_OTHER"


def method_of(scope: Scope) -> str:
    """Return a request's method, or OpenTelemetry's placeholder for a non-standard one."""
    method: str = scope["method"]
    return method if method in METHODS else OTHER_METHOD


class Observed:
    """What becomes known about a request while it is being answered."""

    def __init__(self, function: str, scope: Scope, span: spans.Span, started: float) -> None:
        self.function = function
        self.method = method_of(scope)
        self.span = span
        self.status = 0
        self.route = UNKNOWN_ROUTE
        self.cache = "none"
        self._started = started
        self._is_finished = False

    def begin_response(self, scope: Scope, message: Message) -> None:
        """Record the start of the response. By now the application has put its route into ``scope``."""
        self.status = message["status"]
        route = scope.get("route")
        self.route = (
            path_of(scope["app"], route) if isinstance(route, APIRoute) else getattr(route, "path", UNKNOWN_ROUTE)
        )
        cache_status = next((value for name, value in message.get("headers", ()) if name == CACHE_STATUS), None)
        if cache_status is not None:
            self.cache = "hit" if cache_status.decode("latin-1") == CACHE_HIT else "miss"

    async def before_end(self, message: Message) -> None:
        """In a deployed function, export the spans of a sampled trace before the last part of the response is sent."""
        if spans.IS_DEPLOYED and self.span.is_recorded and not message.get("more_body", False):
            self.finish()
            await run_in_threadpool(self.span.flush)

    def finish(self) -> None:
        """Record the request as a whole, once."""
        if self._is_finished:
            return
        self._is_finished = True
        seconds = time.perf_counter() - self._started
        metrics.record(
            metrics.REQUEST_DURATION,
            seconds,
            {
                spans.FUNCTION: self.function,
                "http.request.method": self.method,
                "http.route": self.route,
                "http.response.status_code": self.status,
                "aisle.cache": self.cache,
            },
        )
        self.span.rename(f"{self.method} {self.route}")
        self.span.set("http.route", self.route)
        self.span.set("http.response.status_code", self.status)
        self.span.set("aisle.cache", self.cache)
        if self.status >= 500:
            self.span.fail(f"status {self.status}")
        self.span.end()


async def observe_stored(function: str, scope: Scope, request_id: str, started: float) -> None:
    """Record a request that was answered from Redis, without the application, on a route without parameters.

    ``started`` is the value of ``time.perf_counter`` when the request began.
    """
    with observed(function, scope, request_id, started) as request:
        if request is not None:
            request.status, request.route, request.cache = 200, scope["path"], "hit"
            await request.before_end({"type": "http.response.body"})


@contextmanager
def observed(function: str, scope: Scope, request_id: str, started: float | None = None) -> Iterator[Observed | None]:
    """Observe the block that answers the request, from ``started`` or now; yields None if telemetry is off."""
    if not spans.is_on():
        yield None
        return
    traceparent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)
    attributes: dict[str, spans.Value] = {
        spans.FUNCTION: function,
        spans.REQUEST_ID: request_id,
        # Not the path, which may contain a user's or order's id, or anything that a caller typed.
        "http.request.method": method_of(scope),
    }
    now = time.perf_counter()
    begun = now if started is None else started
    with spans.span(method_of(scope), "server", attributes, traceparent=traceparent, since_s=now - begun) as span:
        request = Observed(function, scope, span, begun)
        try:
            yield request
        finally:
            request.finish()
