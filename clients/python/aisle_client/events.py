"""Events in batches: fewer requests, and none of them in the way of a page."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from types import TracebackType
from typing import Any, Final, Self, cast
from uuid import uuid4

from aisle_client import models
from aisle_client.client import Aisle, AsyncAisle
from aisle_client.problems import AisleError, Problem

log = logging.getLogger(__name__)

# what POST /events/batch takes
LARGEST_BATCH: Final = 500

AnyEvent = models.Event | models.ReportedOrder | models.ReportedRefund
# gets the events that were not accepted, and why
Lost = Callable[[Sequence[AnyEvent], AisleError], None]


def _named(event: AnyEvent) -> AnyEvent:
    """Return the event with an id, by which it counts once however often it is sent.

    An order is known by its ``order_id``. A refund is not: an order may have several. Raises TypeError or ValueError
    for an event that JSON cannot represent, which would fail its whole batch.
    """
    json.dumps(event, allow_nan=False)
    if event.get("event_id") or event.get("event_type") == "order":
        return event
    return cast("AnyEvent", {**event, "event_id": str(uuid4())})


def _refused(batch: Sequence[AnyEvent], answer: models.EventBatchResult) -> list[tuple[AnyEvent, Problem]]:
    return [
        (batch[rejected["index"]], Problem(int(rejected["problem"].get("status", 422)), rejected["problem"], "", None))
        for rejected in answer["rejected"]
    ]


def _failure(error: Exception) -> AisleError:
    """Return the error for a batch that could not be sent, or whose answer could not be read."""
    return error if isinstance(error, AisleError) else AisleError(f"{type(error).__name__}: {error}")


def _tell(lost: Lost, events: Sequence[AnyEvent], error: AisleError) -> None:
    """Call ``lost``. An error in it is logged: raised, it would end the queue, and every later event would be lost."""
    try:
        lost(events, error)
    except Exception:
        log.exception("the function `lost` of an event queue failed")


def _ignore(_events: Sequence[AnyEvent], _error: AisleError) -> None:
    """Do nothing: a batch was sent several times, and a shop works without the events that are lost then."""


class _Queue(ABC):
    """The events that wait, and what becomes of those that cannot be sent. Both queues differ in how they wait."""

    def __init__(
        self, interval_s: float, size: int, capacity: int, lost: Lost, lock: AbstractContextManager[Any]
    ) -> None:
        if not 1 <= size <= LARGEST_BATCH:
            raise ValueError(f"size must be from 1 to {LARGEST_BATCH}")
        self.interval_s = interval_s
        self.size = size
        self.capacity = capacity
        self.lost = lost
        self._lock = lock
        self._waiting: list[AnyEvent] = []
        self._closing = False

    def add(self, event: AnyEvent) -> None:
        """Queue an event. Returns at once, and raises nothing.

        An event that finds the queue full or closed, or that JSON cannot represent, goes to ``lost``.
        """
        try:
            named = _named(event)
        except (TypeError, ValueError) as error:
            _tell(self.lost, [event], _failure(error))
            return
        with self._lock:
            full = self._closing or len(self._waiting) >= self.capacity
            if not full:
                self._waiting.append(named)
                if len(self._waiting) >= self.size:
                    self._wake()
        if full:
            _tell(self.lost, [event], AisleError("the queue is closed" if self._closing else "the queue is full"))

    @abstractmethod
    def _wake(self) -> None:
        """Let the sender go on: a batch is full, or the queue closes."""

    def _take(self) -> list[AnyEvent]:
        """Return the next batch, which no longer waits."""
        batch, self._waiting = self._waiting[: self.size], self._waiting[self.size :]
        return batch


class EventQueue(_Queue):
    """Sends events from a thread of its own. Use it as a context manager, or close it: it then sends the rest.

    interval_s : the longest time that an event waits.
    size : events of a batch, at most 500.
    capacity : events that wait at most; what comes beyond is lost.
    lost : called with events that the shop did not accept. A batch without an answer is passed whole.
    """

    def __init__(
        self,
        shop: Aisle,
        *,
        interval_s: float = 1.0,
        size: int = 100,
        capacity: int = 10_000,
        lost: Lost = _ignore,
    ) -> None:
        self._changed = threading.Condition()
        super().__init__(interval_s, size, capacity, lost, self._changed)
        self.shop = shop
        self._thread = threading.Thread(target=self._run, name="aisle-events", daemon=True)
        self._thread.start()

    def _wake(self) -> None:
        self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or len(self._waiting) >= self.size, self.interval_s)
                batch = self._take()
                ended = self._closing and not batch
            if ended:
                return
            if batch:
                self._send(batch)

    def _send(self, batch: Sequence[AnyEvent]) -> None:
        try:
            answer = self.shop.record_event_batch({"events": list(batch)})
            refused = _refused(batch, answer)
        except Exception as error:  # noqa: BLE001 — nothing may end the queue
            _tell(self.lost, batch, _failure(error))
            return
        for event, problem in refused:
            _tell(self.lost, [event], problem)

    def close(self) -> None:
        """Send what waits, and end the thread."""
        with self._changed:
            self._closing = True
            self._wake()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncEventQueue(_Queue):
    """The same for asyncio, by a task. Use it as an asynchronous context manager."""

    def __init__(
        self,
        shop: AsyncAisle,
        *,
        interval_s: float = 1.0,
        size: int = 100,
        capacity: int = 10_000,
        lost: Lost = _ignore,
    ) -> None:
        # one loop of events runs everything, so nothing needs a lock
        super().__init__(interval_s, size, capacity, lost, nullcontext())
        self.shop = shop
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def _wake(self) -> None:
        self._woken.set()

    async def _run(self) -> None:
        while not (self._closing and not self._waiting):
            if not self._closing and len(self._waiting) < self.size:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), self.interval_s)
            self._woken.clear()
            if batch := self._take():
                await self._send(batch)

    async def _send(self, batch: Sequence[AnyEvent]) -> None:
        try:
            answer = await self.shop.record_event_batch({"events": list(batch)})
            refused = _refused(batch, answer)
        except Exception as error:  # noqa: BLE001 — nothing may end the queue
            _tell(self.lost, batch, _failure(error))
            return
        for event, problem in refused:
            _tell(self.lost, [event], problem)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing = True
        self._wake()
        if self._task is not None:
            await self._task
