"""All topics and subscriptions. The gRPC services act on it, and it turns a publish into deliveries.

Everything runs on one event loop, so no state needs a lock. A publish is answered, and its messages are delivered, only
once they are on disk; while the disk takes nothing, it is refused. Other changes reach the disk within LAZY_COMMIT_S.
"""

import asyncio
import time
from collections.abc import Iterable
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from local.pubsub import wire
from local.pubsub.errors import AlreadyExists, NotFound
from local.pubsub.message import Delivery, Message
from local.pubsub.push import Pusher
from local.pubsub.store import DELETE_MESSAGE, INSERT_DELIVERY, INSERT_MESSAGE, MemoryStore
from local.pubsub.subscription import DELETED_TOPIC, Subscription

TRIM_EVERY_S = 60.0
_DEAD_LETTER = "CloudPubSubDeadLetterSource"


class Topic:
    def __init__(self, pb: Any) -> None:
        self.pb = pb
        self.name: str = pb.name
        self.subscriptions: dict[str, Subscription] = {}


Routes = list[tuple[Message, list[Subscription]]]


class _Accepted(NamedTuple):
    """Messages of a publish: their ids, the subscriptions that get each, and the rows that store them."""

    ids: list[str]
    routes: Routes
    rows: list[tuple[int, int, bytes]]
    deliveries: list[tuple[int, int, int, int]]


class Broker:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.topics: dict[str, Topic] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.pushers: dict[str, Pusher] = {}
        self._loop = asyncio.get_running_loop()
        # message and ack ids start at the clock's microseconds, so an id of an earlier run never names a new message
        epoch_us = time.time_ns() // 1000
        self.lease_numbers = count(epoch_us)
        last_message = self._load()
        self._message_ids = count(max(epoch_us, last_message + 1))
        self._trimming = self._loop.call_later(TRIM_EVERY_S, self._trim)

    def _load(self) -> int:
        """Restore the saved state and return its highest message id."""
        saved = self.store.load()
        for pb in saved.topics:
            topic = Topic(wire.Topic.FromString(pb))
            self.topics[topic.name] = topic
        by_id = {}
        for id_, pb in saved.subscriptions:
            by_id[id_] = self._attach(Subscription(self, id_, wire.Subscription.FromString(pb)))
        self._subscription_ids = count(max(by_id, default=0) + 1)
        messages = {id_: Message(id_, wire.PubsubMessage.FromString(pb), ms) for id_, ms, pb in saved.messages}
        for subscription_id, message_id, attempts, done in saved.deliveries:
            if subscription_id in by_id and message_id in messages:
                by_id[subscription_id].restore(messages[message_id], attempts, bool(done))
        return max(messages, default=0)

    # topics

    def topic(self, name: str) -> Topic:
        topic = self.topics.get(name)
        if topic is None:
            raise NotFound("Topic not found")
        return topic

    async def create_topic(self, pb: Any) -> None:
        if pb.name in self.topics:
            raise AlreadyExists("Topic already exists")
        self.topics[pb.name] = Topic(pb)
        await self.save_topic(self.topics[pb.name])

    async def save_topic(self, topic: Topic) -> None:
        self.store.save_topic(topic.name, topic.pb.SerializeToString())
        await self.store.commit()

    async def delete_topic(self, name: str) -> None:
        topic = self.topic(name)
        del self.topics[name]
        self.store.delete_topic(name)
        for subscription in topic.subscriptions.values():
            subscription.pb.topic = DELETED_TOPIC
            self._save(subscription)
        await self.store.commit()

    # subscriptions

    def subscription(self, name: str) -> Subscription:
        subscription = self.subscriptions.get(name)
        if subscription is None:
            raise NotFound("Subscription does not exist")
        return subscription

    async def create_subscription(self, pb: Any) -> None:
        if pb.name in self.subscriptions:
            raise AlreadyExists("Subscription already exists")
        subscription = self._attach(Subscription(self, next(self._subscription_ids), pb))
        await self.save_subscription(subscription)

    async def save_subscription(self, subscription: Subscription) -> None:
        """Store and apply a change of a subscription's settings."""
        self._save(subscription)
        self._set_pusher(subscription)
        if not subscription.pb.retain_acked_messages:
            subscription.drop_acked()
        await self.store.commit()

    async def delete_subscription(self, name: str) -> None:
        subscription = self.subscription(name)
        del self.subscriptions[name]
        self._detach(subscription)
        subscription.drop_all()
        subscription.close()
        self.store.delete_subscription(subscription.id)
        await self.store.commit()

    async def detach_subscription(self, name: str) -> None:
        subscription = self.subscription(name)
        self._detach(subscription)
        subscription.pb.detached = True
        subscription.drop_all()
        self._save(subscription)
        await self.store.commit()

    def _attach(self, subscription: Subscription) -> Subscription:
        self.subscriptions[subscription.name] = subscription
        topic = self.topics.get(subscription.pb.topic)
        if topic is not None and not subscription.pb.detached:
            topic.subscriptions[subscription.name] = subscription
        self._set_pusher(subscription)
        return subscription

    def _detach(self, subscription: Subscription) -> None:
        topic = self.topics.get(subscription.pb.topic)
        if topic is not None:
            topic.subscriptions.pop(subscription.name, None)
        pusher = self.pushers.pop(subscription.name, None)
        if pusher is not None:
            pusher.stop()

    def _save(self, subscription: Subscription) -> None:
        self.store.save_subscription(subscription.id, subscription.name, subscription.pb.SerializeToString())

    def _set_pusher(self, subscription: Subscription) -> None:
        config = subscription.pb.push_config if not subscription.pb.detached else wire.PushConfig()
        pusher = self.pushers.get(subscription.name)
        if pusher is not None and pusher.config == config:
            return
        if pusher is not None:
            del self.pushers[subscription.name]
            pusher.stop()
        if config.push_endpoint:
            self.pushers[subscription.name] = Pusher(subscription, config)

    # messages

    async def publish(self, topic: Topic, messages: Iterable[Any]) -> list[str]:
        """Store messages, start their delivery, and return their ids."""
        accepted = self._accept(topic, messages)
        if accepted.routes:
            stored = self.store.publish(accepted.rows, accepted.deliveries)
            stored.add_done_callback(partial(self._deliver_stored, accepted.routes))
            # shielded: a caller that disconnects must not cancel the delivery of accepted messages
            await asyncio.shield(stored)
        return accepted.ids

    def _accept(self, topic: Topic, messages: Iterable[Any]) -> _Accepted:
        published_ms = time.time_ns() // 1_000_000
        ids: list[str] = []
        routes: Routes = []
        rows: list[tuple[int, int, bytes]] = []
        deliveries: list[tuple[int, int, int, int]] = []
        for pb in messages:
            id_ = next(self._message_ids)
            pb.message_id = str(id_)
            pb.publish_time.seconds, milliseconds = divmod(published_ms, 1000)
            pb.publish_time.nanos = milliseconds * 1_000_000
            ids.append(pb.message_id)
            targets = [subscription for subscription in topic.subscriptions.values() if subscription.wants(pb)]
            if targets:
                message = Message(id_, pb, published_ms)
                message.references = len(targets)
                routes.append((message, targets))
                rows.append((id_, published_ms, pb.SerializeToString()))
                deliveries.extend((subscription.id, id_, 0, 0) for subscription in targets)
        return _Accepted(ids, routes, rows, deliveries)

    def _deliver_stored(self, routes: Routes, stored: "asyncio.Future[None]") -> None:
        if not stored.cancelled() and stored.exception() is None:
            self._deliver(routes)

    def _deliver(self, routes: Routes) -> None:
        for message, targets in routes:
            for subscription in targets:
                if subscription.alive and not subscription.pb.detached:
                    subscription.deliver(message)
                else:
                    subscription.discard(message)

    def forward(self, subscription: Subscription, delivery: Delivery) -> bool:
        """Publish a message that failed too often to the dead-letter topic; return False if that does not exist."""
        topic = self.topics.get(subscription.pb.dead_letter_policy.dead_letter_topic)
        if topic is None:
            return False
        source = delivery.message
        copy = wire.PubsubMessage()
        copy.CopyFrom(source.pb)
        _, project, _, name = subscription.name.split("/")
        copy.attributes[f"{_DEAD_LETTER}Subscription"] = name
        copy.attributes[f"{_DEAD_LETTER}SubscriptionProject"] = project
        copy.attributes[f"{_DEAD_LETTER}DeliveryCount"] = str(delivery.attempts)
        copy.attributes[f"{_DEAD_LETTER}TopicPublishTime"] = source.publish_time
        accepted = self._accept(topic, [copy])
        # not refused while the disk takes nothing: the message has left the subscription already
        self.store.queue(INSERT_MESSAGE, accepted.rows)
        self.store.queue(INSERT_DELIVERY, accepted.deliveries)
        self._deliver(accepted.routes)
        return True

    def release(self, messages: Iterable[Message]) -> None:
        """Drop a reference to each message, and delete those that no subscription keeps."""
        unused = []
        for message in messages:
            message.references -= 1
            if message.references == 0:
                unused.append((message.id,))
        if unused:
            self.store.queue(DELETE_MESSAGE, unused)

    # upkeep

    def _trim(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        for subscription in self.subscriptions.values():
            subscription.trim(now_ms)
        self._trimming = self._loop.call_later(TRIM_EVERY_S, self._trim)

    async def close(self) -> None:
        """Stop delivering, finish the pushes under way, and write queued changes."""
        self._trimming.cancel()
        for pusher in self.pushers.values():
            pusher.stop()
        await asyncio.gather(*(pusher.drained() for pusher in self.pushers.values()))
        for subscription in self.subscriptions.values():
            subscription.close()
        await asyncio.to_thread(self.store.close)
