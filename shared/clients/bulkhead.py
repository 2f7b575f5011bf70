"""Bulkheads of the database connections: no route may hold all of a process's pool.

One route whose statements hang, on a lock or on a slow index, would otherwise take every connection, and routes that
have nothing to do with it would wait behind it (docs/decisions/0052-bounded-waits.md).
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from shared.errors import DatabaseUnavailable

# A route is stalled when each connection that it may hold has been held for this long.
STALLED_S: Final = 2.0
# Requests of a stalled route that may wait for a connection, each in a thread; further ones are refused at once.
STALLED_WAITERS: Final = 4


@dataclass
class Serving:
    """The request that is being served: its route, and whether one of its transactions is committed."""

    route: str
    has_committed: bool = False


# None: a job or an event, which shares its instance's connections with nothing else.
_serving: ContextVar[Serving | None] = ContextVar("serving", default=None)


def serve_route(route: str) -> Serving:
    """Note the route of the current request, for whose share its database connections count; return the note."""
    serving = Serving(route)
    _serving.set(serving)
    return serving


def note_commit() -> None:
    """Note that a transaction of the current request is committed, so that the request must not run again."""
    if (serving := _serving.get()) is not None:
        serving.has_committed = True


def share_of(pool_size: int) -> int:
    """Return how many of ``pool_size`` connections one route may hold: all but a third, and at least one."""
    return max(1, pool_size - max(1, pool_size // 3))


@dataclass
class _Compartment:
    """The connections of one route: since when each is held, and how many requests wait for one."""

    changed: threading.Condition
    held_since: dict[int, float] = field(default_factory=dict)
    waiting: int = 0


class Bulkhead:
    """Admits each route to its share of the connections. Work without a route is admitted always."""

    def __init__(self, share: int, wait_s: float, on_stall: Callable[[], None] = lambda: None) -> None:
        """``on_stall`` is called when requests wait behind a stalled route; it must return at once."""
        self.share, self.wait_s, self.on_stall = share, wait_s, on_stall
        self._lock = threading.Lock()
        self._compartments: dict[str, _Compartment] = {}
        self._numbers = 0
        # a thread that holds a connection may take another one: waiting for its own route, it would wait for itself
        self._depth = threading.local()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold a connection's place of the current route until the block ends.

        Raises DatabaseUnavailable if none becomes free in time, and at once while the route is stalled and enough of
        its requests wait.
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
                    # the moment at which the route may prove to be stalled is a moment to look again
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
            # routes are few, but a process lives for weeks
            if not compartment.held_since and not compartment.waiting:
                del self._compartments[route]
            compartment.changed.notify()
