"""Bulkheads for database connections: no route may hold all of a process's pool.

Otherwise, one route whose statements hang, on a lock or a slow index, would take every connection, and unrelated routes
would wait behind it (docs/decisions/0052-bounded-waits.md).
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from shared.errors import DatabaseUnavailable

# A route is stalled once every connection of its share has been held for this many seconds.
STALLED_S: Final = 2.0
# Maximum requests of a stalled route that wait for a connection, each in a thread; further ones are refused at once.
STALLED_WAITERS: Final = 4


@dataclass
class Serving:
    """The request being served: its route, and whether it has committed anything."""

    route: str
    has_committed: bool = False


# None for a job or an event, which has its instance's connections to itself.
_serving: ContextVar[Serving | None] = ContextVar("serving", default=None)


def serve_route(route: str) -> Serving:
    """Set the route of the current request, to whose share its database connections count, and return the record."""
    serving = Serving(route)
    _serving.set(serving)
    return serving


def note_commit() -> None:
    """Record that the current request has committed a change, so that it must not be retried."""
    if (serving := _serving.get()) is not None:
        serving.has_committed = True


def share_of(pool_size: int) -> int:
    """Return how many of ``pool_size`` connections one route may hold: all but a third, and at least one."""
    return max(1, pool_size - max(1, pool_size // 3))


@dataclass
class _Compartment:
    """The connections of one route: since when each has been held, and how many requests wait for one."""

    changed: threading.Condition
    held_since: dict[int, float] = field(default_factory=dict)
    waiting: int = 0


class Bulkhead:
    """Limits each route to its share of the connections. Work without a route is always admitted."""

    def __init__(self, share: int, wait_s: float, on_stall: Callable[[], None] = lambda: None) -> None:
        """``on_stall`` is called when requests wait behind a stalled route; it must return at once."""
        self.share, self.wait_s, self.on_stall = share, wait_s, on_stall
        self._lock = threading.Lock()
        self._compartments: dict[str, _Compartment] = {}
        self._numbers = 0
        # A thread that holds a connection may take another without waiting; otherwise it could wait for itself.
        self._depth = threading.local()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold one of the current route's connection slots until the block ends.

        Raises DatabaseUnavailable if none becomes free in time, or at once if the route is stalled and STALLED_WAITERS
        requests are already waiting.
        """
        serving = _serving.get()
        nested = getattr(self._depth, "value", 0)
        if serving is None or nested:
            self._depth.value = nested + 1
            try:
                yield
            finally:
                self._depth.value = nested
            return
        number = self._enter(serving.route)
        self._depth.value = 1
        try:
            yield
        finally:
            self._depth.value = 0
            self._leave(serving.route, number)

    def _enter(self, route: str) -> int:
        deadline = time.monotonic() + self.wait_s
        with self._lock:
            compartment = self._compartments.get(route)
            if compartment is None:
                compartment = self._compartments[route] = _Compartment(threading.Condition(self._lock))
            compartment.waiting += 1
            try:
                while len(compartment.held_since) >= self.share:
                    now = time.monotonic()
                    stalled_at = max(compartment.held_since.values()) + STALLED_S
                    if now >= stalled_at:
                        self.on_stall()
                    if now >= deadline or (now >= stalled_at and compartment.waiting > STALLED_WAITERS):
                        raise DatabaseUnavailable(
                            "Every database connection of this route is in use; try again in a moment.",
                            retry_after_s=2,
                        )
                    # Check again at the time when the route would count as stalled.
                    until = min(deadline, stalled_at if now < stalled_at else now + STALLED_S)
                    compartment.changed.wait(until - now)
            finally:
                compartment.waiting -= 1
            self._numbers += 1
            compartment.held_since[self._numbers] = time.monotonic()
            return self._numbers

    def _leave(self, route: str, number: int) -> None:
        with self._lock:
            compartment = self._compartments[route]
            del compartment.held_since[number]
            # There are few routes, but a process lives for weeks.
            if not compartment.held_since and not compartment.waiting:
                del self._compartments[route]
            compartment.changed.notify()
