"""One subscription's unacknowledged messages: ready, leased to a consumer, or waiting for a retry.

Times are seconds of one monotonic clock, passed by the caller; nothing here waits, writes or sends.

With ordering on, messages of a key go out in publish order, as a run: the next ones wait until all that are out have
been acknowledged. When a message fails, it and every later message of its key go out again.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Protocol

from local.pubsub.message import Delivery


class Holder(Protocol):
    """A consumer that is notified when a message is no longer leased to it."""

    def release(self, delivery: Delivery) -> None: ...


class OrderedKey:
    """The messages of one ordering key: ``waiting`` in order, ``out`` by message id."""

    __slots__ = ("name", "out", "queued", "retry_at", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: deque[Delivery] = deque()
        self.out: dict[int, Delivery] = {}
        self.queued = False
        self.retry_at = 0.0


class Backlog:
    """Every unacknowledged message of a subscription, by message id in ``open``."""

    def __init__(self, ordered: bool, lease_numbers: Iterator[int]) -> None:
        self.open: dict[int, Delivery] = {}
        self._ordered = ordered
        self._lease_numbers = lease_numbers
        self._ready: deque[Delivery | OrderedKey] = deque()
        self._keys: dict[str, OrderedKey] = {}
        self._leases: dict[int, Delivery] = {}
        self._deadlines: dict[int, float] = {}
        self._expiries: list[tuple[float, int]] = []
        self._delayed: list[tuple[float, int, Delivery | OrderedKey]] = []
        self._tie = count()

    def __len__(self) -> int:
        return len(self.open)

    @property
    def has_ready(self) -> bool:
        return bool(self._ready)

    @property
    def wake_at(self) -> float | None:
        """When to call ``resume`` and ``expired`` next; None while nothing is delayed or leased."""
        times = [heap[0][0] for heap in (self._expiries, self._delayed) if heap]
        return min(times) if times else None

    def add(self, delivery: Delivery) -> None:
        self.open[delivery.message.id] = delivery
        key = delivery.message.pb.ordering_key
        if not (self._ordered and key):
            self._ready.append(delivery)
            return
        ordered = self._key(key)
        ordered.waiting.append(delivery)
        self._queue_key(ordered)

    def take(
        self, limit: int, lease_s: float, now: float, *, max_bytes: int, holder: Holder | None = None, run: int = 0
    ) -> list[Delivery]:
        """Lease up to ``limit`` ready messages, at most about ``max_bytes`` but at least one.

        ``run`` bounds how many messages of an ordering key may be out at once; 0 sets no bound.
        """
        leased: list[Delivery] = []
        size = 0
        while self._ready and len(leased) < limit and (not leased or size < max_bytes):
            item = self._ready.popleft()
            if isinstance(item, Delivery):
                batch: Iterable[Delivery] = () if item.done or item.leased else (item,)
            else:
                batch = self._take_run(item, min(limit - len(leased), run or limit))
            for delivery in batch:
                self._lease(delivery, now + lease_s, holder)
                leased.append(delivery)
                size += delivery.message.size
        return leased

    def acknowledge(self, lease: int, *, late: bool = True) -> Delivery | None:
        """Finish the delivery of a lease and return it; None if the lease no longer counts.

        With ``late``, an expired lease still counts until the message is handed out again.
        """
        delivery = self._leases.get(lease)
        if delivery is None or (not delivery.leased and not late):
            return None
        self.finish(delivery)
        return delivery

    def fail(self, lease: int) -> Delivery | None:
        """End a lease and return its delivery, or None; the caller decides between ``retry`` and ``finish``."""
        delivery = self._leases.get(lease)
        if delivery is None or not delivery.leased:
            return None
        self._take_back(delivery)
        self._forget_lease(delivery)
        return delivery

    def extend(self, lease: int, deadline: float) -> bool:
        """Move a lease's deadline; return False if the lease no longer counts."""
        delivery = self._leases.get(lease)
        if delivery is None or not delivery.leased:
            return False
        self._deadlines[lease] = deadline
        heapq.heappush(self._expiries, (deadline, lease))
        return True

    def expired(self, now: float) -> list[Delivery]:
        """End the leases whose deadline has passed; return their deliveries, to be handled as after ``fail``."""
        late = []
        while self._expiries and self._expiries[0][0] <= now:
            deadline, lease = heapq.heappop(self._expiries)
            delivery = self._leases.get(lease)
            if delivery is not None and delivery.leased and self._deadlines.get(lease) == deadline:
                self._take_back(delivery)
                late.append(delivery)
        return late

    def retry(self, delivery: Delivery, at: float, now: float) -> None:
        """Schedule a delivery whose lease has ended to go out again at time ``at``."""
        if delivery.done:
            return
        name = delivery.message.pb.ordering_key
        if self._ordered and name:
            key = self._key(name)
            # sorted: a message that was out goes before those that were not
            key.waiting = deque(sorted((*key.waiting, delivery), key=_message_id))
            if at > now:
                key.retry_at = max(key.retry_at, at)
            self._queue_key(key)
        elif at > now:
            heapq.heappush(self._delayed, (at, next(self._tie), delivery))
        else:
            self._ready.append(delivery)

    def resume(self, now: float) -> None:
        """Make the deliveries ready whose retry is due."""
        while self._delayed and self._delayed[0][0] <= now:
            _, _, item = heapq.heappop(self._delayed)
            if isinstance(item, OrderedKey):
                item.queued = False
                item.retry_at = item.retry_at if item.retry_at > now else 0.0
                self._queue_key(item)
            elif not item.done:
                self._ready.append(item)

    def finish(self, delivery: Delivery) -> None:
        """Forget a delivery: it is acknowledged, forwarded, too old or skipped by a seek."""
        self.open.pop(delivery.message.id, None)
        delivery.done = True
        self._forget_lease(delivery)
        if delivery.leased:
            delivery.leased = False
            _notify_holder(delivery)
        key = self._key_of(delivery)
        if key is not None:
            key.out.pop(delivery.message.id, None)
            self._queue_key(key)

    def clear(self) -> list[Delivery]:
        """Forget every delivery and return them."""
        deliveries = list(self.open.values())
        for delivery in deliveries:
            self.finish(delivery)
        self._ready.clear()
        self._delayed.clear()
        self._keys.clear()
        return deliveries

    def _lease(self, delivery: Delivery, deadline: float, holder: Holder | None) -> None:
        self._forget_lease(delivery)
        lease = delivery.lease = next(self._lease_numbers)
        delivery.leased = True
        delivery.holder = holder
        self._leases[lease] = delivery
        self._deadlines[lease] = deadline
        if len(self._expiries) > 1000 + 4 * len(self._leases):
            self._expiries = [(at, lease) for lease, at in self._deadlines.items()]
            heapq.heapify(self._expiries)
        else:
            heapq.heappush(self._expiries, (deadline, lease))

    def _forget_lease(self, delivery: Delivery) -> None:
        self._leases.pop(delivery.lease, None)
        self._deadlines.pop(delivery.lease, None)

    def _take_back(self, delivery: Delivery) -> None:
        """End a lease. With ordering, it ends the leases of the key's later messages too, which then wait again."""
        delivery.leased = False
        _notify_holder(delivery)
        key = self._key_of(delivery)
        if key is None:
            return
        key.out.pop(delivery.message.id, None)
        later = [successor for id_, successor in key.out.items() if id_ > delivery.message.id]
        for successor in later:
            del key.out[successor.message.id]
            successor.leased = False
            self._forget_lease(successor)
            _notify_holder(successor)
        key.waiting.extendleft(sorted(later, key=_message_id, reverse=True))

    def _take_run(self, key: OrderedKey, limit: int) -> list[Delivery]:
        key.queued = False
        batch: list[Delivery] = []
        while key.waiting and len(batch) < limit:
            delivery = key.waiting.popleft()
            if not delivery.done:
                batch.append(delivery)
                key.out[delivery.message.id] = delivery
        return batch

    def _queue_key(self, key: OrderedKey) -> None:
        if key.queued or key.out:
            return
        while key.waiting and key.waiting[0].done:
            key.waiting.popleft()
        if not key.waiting:
            self._keys.pop(key.name, None)
            return
        key.queued = True
        if key.retry_at:
            heapq.heappush(self._delayed, (key.retry_at, next(self._tie), key))
        else:
            self._ready.append(key)

    def _key(self, name: str) -> OrderedKey:
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = OrderedKey(name)
        return key

    def _key_of(self, delivery: Delivery) -> OrderedKey | None:
        name = delivery.message.pb.ordering_key
        return self._keys.get(name) if self._ordered and name else None


def _message_id(delivery: Delivery) -> int:
    return delivery.message.id


def _notify_holder(delivery: Delivery) -> None:
    holder, delivery.holder = delivery.holder, None
    if holder is not None:
        holder.release(delivery)
