"""A subscription: its backlog, its retry and dead-letter policies, and the consumers that take messages from it."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from local.pubsub import wire
from local.pubsub.backlog import Backlog, Holder
from local.pubsub.errors import FailedPrecondition, InvalidAckIds, InvalidArgument
from local.pubsub.filters import parse_filter
from local.pubsub.message import Delivery, Message
from local.pubsub.store import DELETE_DELIVERY, INSERT_DELIVERY

if TYPE_CHECKING:
    from local.pubsub.broker import Broker

DELETED_TOPIC = "_deleted-topic_"
MAX_RESPONSE_BYTES = 3_500_000
"""Below the 4 MB that a gRPC client accepts by default."""


class Consumer(Protocol):
    """It takes ready messages: a waiting pull, an open stream, or the pusher."""

    def feed(self) -> bool:
        """Take as many messages as there is room for now; return whether there were any."""
        ...


class Subscription:
    def __init__(self, broker: "Broker", id_: int, pb: Any) -> None:
        self.id = id_
        self.pb = pb
        self.name: str = pb.name
        self.alive = True
        self.acked: dict[int, Delivery] = {}
        """Acknowledged messages, kept for a seek if the subscription retains them."""
        self._broker = broker
        self._loop = asyncio.get_running_loop()
        self._backlog = Backlog(pb.enable_message_ordering, broker.lease_numbers)
        self._matches = parse_filter(pb.filter) if pb.filter else None
        self._consumers: deque[Consumer] = deque()
        self._timer: asyncio.Handle | None = None
        # kept here: for a time that has come, uvloop returns a handle that does not know it
        self._timer_at = 0.0
        self._pumping = False

    # messages coming in

    def wants(self, message: Any) -> bool:
        return not self.pb.detached and (self._matches is None or self._matches(message.attributes))

    def deliver(self, message: Message, attempts: int = 0) -> None:
        self._backlog.add(Delivery(message, attempts))
        self.pump_soon()

    def restore(self, message: Message, attempts: int, acknowledged: bool) -> None:
        """Restore a delivery from the state file."""
        message.references += 1
        if acknowledged:
            self.acked[message.id] = Delivery(message, attempts)
        else:
            self.deliver(message, attempts)

    def unacknowledged(self) -> tuple[int, int | None]:
        """Return how many messages wait or are out, and when the oldest was published, in milliseconds since 1970."""
        oldest = next(iter(self._backlog.open.values()), None)  # in order of publication
        return len(self._backlog), None if oldest is None else oldest.message.published_ms

    # messages going out

    def subscribe(self, consumer: Consumer) -> None:
        self._consumers.append(consumer)
        self.pump_soon()

    def unsubscribe(self, consumer: Consumer) -> None:
        if consumer in self._consumers:
            self._consumers.remove(consumer)

    def take(
        self,
        limit: int,
        holder: Holder | None = None,
        *,
        lease_s: float | None = None,
        max_bytes: int = MAX_RESPONSE_BYTES,
        run: int = 0,
    ) -> list[Delivery]:
        """Lease up to ``limit`` ready messages for ``lease_s``, by default the subscription's ack deadline."""
        now = self._loop.time()
        self._backlog.resume(now)
        leased = self._backlog.take(
            limit, lease_s or self.pb.ack_deadline_seconds, now, max_bytes=max_bytes, holder=holder, run=run
        )
        if leased:
            self._arm()
        return leased

    def received(self, delivery: Delivery) -> Any:
        """Return the ReceivedMessage of a leased delivery."""
        return wire.ReceivedMessage(
            ack_id=f"{self.name}:{delivery.lease}",
            message=delivery.message.pb,
            delivery_attempt=delivery.attempts + 1 if self.pb.HasField("dead_letter_policy") else 0,
        )

    def pump_soon(self) -> None:
        """Offer ready messages to the consumers on the next turn of the event loop; several calls count once."""
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        if not self.alive:
            return
        now = self._loop.time()
        self._backlog.resume(now)
        for delivery in self._backlog.expired(now):
            self._failed(delivery, now)
        while self._backlog.has_ready and self._feed_one():
            pass
        self._arm()

    def _feed_one(self) -> bool:
        for _ in range(len(self._consumers)):
            consumer = self._consumers[0]
            self._consumers.rotate(-1)
            if consumer.feed():
                return True
        return False

    def _arm(self) -> None:
        at = self._backlog.wake_at
        if at is None or (self._timer is not None and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = self._loop.call_at(at, self._on_timer), at

    def _on_timer(self) -> None:
        self._timer = None
        self._pump()

    # outcomes

    def acknowledge(self, ack_ids: Iterable[str]) -> None:
        """Finish messages. Raises InvalidAckIds on an exactly-once subscription if some ids no longer count."""
        exactly_once = self.pb.enable_exactly_once_delivery
        finished, refused = [], []
        for ack_id, lease in self._leases(ack_ids):
            delivery = self._backlog.acknowledge(lease, late=not exactly_once)
            if delivery is not None:
                finished.append(delivery)
            else:
                refused.append(ack_id)
        self._acknowledged(finished)
        self._refuse(refused)

    def modify_deadlines(self, deadlines: Iterable[tuple[str, int]]) -> None:
        """Give leases so many more seconds from now; 0 fails them at once. Raises as ``acknowledge`` does."""
        pairs = list(deadlines)
        now = self._loop.time()
        refused = []
        for (ack_id, lease), (_, seconds) in zip(self._leases(id_ for id_, _ in pairs), pairs, strict=True):
            known = self._backlog.extend(lease, now + seconds) if seconds > 0 else self.nack(lease)
            if not known:
                refused.append(ack_id)
        self._arm()
        self._refuse(refused)

    def acknowledge_lease(self, lease: int) -> None:
        delivery = self._backlog.acknowledge(lease)
        if delivery is not None:
            self._acknowledged([delivery])

    def nack(self, lease: int, *, delay_s: float = 0.0, counts: bool = True) -> bool:
        """Deliver a message again, after the retry policy's back-off or ``delay_s``, whichever is longer.

        ``counts=False`` if no consumer has seen the message: it is then no delivery attempt.
        """
        delivery = self._backlog.fail(lease)
        if delivery is None:
            return False
        now = self._loop.time()
        if counts:
            self._failed(delivery, now, delay_s)
        else:
            self._backlog.retry(delivery, now + self.scaled(delay_s), now)
        self.pump_soon()
        return True

    def _failed(self, delivery: Delivery, now: float, delay_s: float = 0.0) -> None:
        delivery.attempts += 1
        dead_letter = self.pb.dead_letter_policy
        if (
            self.pb.HasField("dead_letter_policy")
            and delivery.attempts >= dead_letter.max_delivery_attempts
            and self._broker.forward(self, delivery)
        ):
            self._backlog.finish(delivery)
            self._forget([delivery])
            return
        self._broker.store.queue(INSERT_DELIVERY, [(self.id, delivery.message.id, delivery.attempts, 0)])
        if self.pb.HasField("retry_policy"):
            # doubles from the minimum to the maximum
            policy = self.pb.retry_policy
            backoff_s = wire.seconds(policy.minimum_backoff) * 2 ** min(delivery.attempts - 1, 30)
            delay_s = max(delay_s, min(backoff_s, wire.seconds(policy.maximum_backoff)))
        self._backlog.retry(delivery, now + self.scaled(delay_s), now)

    def scaled(self, pause_s: float) -> float:
        """Return the seconds that a back-off or pause takes by the broker's time factor."""
        return pause_s / self._broker.time_factor

    def _acknowledged(self, deliveries: list[Delivery]) -> None:
        if not deliveries:
            return
        if self.pb.retain_acked_messages:
            self.acked.update((delivery.message.id, delivery) for delivery in deliveries)
            self._broker.store.queue(INSERT_DELIVERY, [(self.id, d.message.id, d.attempts, 1) for d in deliveries])
        else:
            self._forget(deliveries)
        if self._backlog.has_ready:
            self.pump_soon()

    def _forget(self, deliveries: Iterable[Delivery]) -> None:
        rows = [(self.id, delivery.message.id) for delivery in deliveries]
        if rows:
            self._broker.store.queue(DELETE_DELIVERY, rows)
            self._broker.release(delivery.message for delivery in deliveries)

    def _leases(self, ack_ids: Iterable[str]) -> list[tuple[str, int]]:
        leases = []
        for ack_id in ack_ids:
            name, _, number = ack_id.rpartition(":")
            if not (number.isascii() and number.isdecimal()):
                raise InvalidArgument(f"Invalid ack id (ack_id={ack_id})")
            if name != self.name:
                raise InvalidArgument(
                    f"Subscription {self.name} received an invalid ack ID {ack_id}, meant for subscription: {name}"
                )
            leases.append((ack_id, int(number)))
        return leases

    def _refuse(self, ack_ids: list[str]) -> None:
        if ack_ids and self.pb.enable_exactly_once_delivery:
            raise InvalidAckIds(dict.fromkeys(ack_ids, "PERMANENT_FAILURE_INVALID_ACK_ID"))

    # upkeep

    def discard(self, message: Message) -> None:
        """Forget an accepted message that may no longer be delivered to this subscription."""
        self._forget([Delivery(message)])

    def seek(self, to_ms: int) -> None:
        """Acknowledge the messages published before ``to_ms``, and redeliver the kept ones published since."""
        messages = {
            delivery.message.id: delivery.message for delivery in (*self._backlog.clear(), *self.acked.values())
        }
        self.acked.clear()
        past: list[Delivery] = []
        for _, message in sorted(messages.items()):
            if message.published_ms < to_ms:
                past.append(Delivery(message))
            else:
                self._broker.store.queue(INSERT_DELIVERY, [(self.id, message.id, 0, 0)])
                self.deliver(message)
        self._acknowledged(past)

    def trim(self, now_ms: int) -> None:
        """Forget messages older than the subscription's retention."""
        oldest_ms = now_ms - int(wire.seconds(self.pb.message_retention_duration) * 1000)
        old = []
        for deliveries in (self._backlog.open, self.acked):
            for delivery in deliveries.values():  # in order of publication
                if delivery.message.published_ms >= oldest_ms:
                    break
                old.append(delivery)
        for delivery in old:
            self._backlog.finish(delivery)
            self.acked.pop(delivery.message.id, None)
        self._forget(old)

    def drop_acked(self) -> None:
        self._forget(self.acked.values())
        self.acked.clear()

    def drop_all(self) -> None:
        """Forget every message."""
        self._forget(self._backlog.clear())
        self.drop_acked()

    def close(self) -> None:
        """Stop delivering, and end open streams and waiting pulls."""
        self.alive = False
        if self._timer is not None:
            self._timer.cancel()
        for consumer in list(self._consumers):
            consumer.feed()

    def check_pullable(self) -> None:
        if self.pb.detached:
            raise FailedPrecondition(f"Subscription is detached: (resource={self.name})")
