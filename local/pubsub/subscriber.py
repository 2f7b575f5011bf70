"""The Subscriber service: subscriptions, pulling from them and acknowledging. Streams are in ``streaming``."""

import asyncio
from typing import Any

from local.pubsub import wire
from local.pubsub.broker import Broker
from local.pubsub.errors import InvalidArgument, NotFound
from local.pubsub.publisher import page
from local.pubsub.rpc import Unary
from local.pubsub.subscription import Subscription
from local.pubsub.validation import (
    MAX_ACK_DEADLINE_S,
    SUBSCRIPTION_FIELDS,
    check_mask,
    check_project,
    check_push_config,
    check_subscription,
    copy_fields,
)

MAX_PULL_WAIT_S = 90.0
ANSWER_BEFORE_DEADLINE_S = 1.0
"""An empty pull is answered this long before the caller's deadline, as Google's emulator does."""
_MAX_PULL_MESSAGES = 1000

_ListSubscriptionsResponse = wire.raw("ListSubscriptionsResponse")
_PullResponse = wire.raw("PullResponse")
_SeekResponse = wire.raw("SeekResponse")


class _WaitingPull:
    """A consumer that takes messages once."""

    def __init__(self, subscription: Subscription, limit: int) -> None:
        self.answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._subscription = subscription
        self._limit = limit

    def feed(self) -> bool:
        if self.answer.done():
            return False
        deliveries = self._subscription.take(self._limit) if self._subscription.alive else []
        if deliveries or not self._subscription.alive:
            self._subscription.unsubscribe(self)
            self.answer.set_result([self._subscription.received(delivery) for delivery in deliveries])
        return bool(deliveries)


class Subscriber:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.methods: dict[str, Unary] = {
            "CreateSubscription": (self.create, "Subscription", "Subscription"),
            "GetSubscription": (self.get, "GetSubscriptionRequest", "Subscription"),
            "ListSubscriptions": (self.list, "ListSubscriptionsRequest", "ListSubscriptionsResponse"),
            "UpdateSubscription": (self.update, "UpdateSubscriptionRequest", "Subscription"),
            "DeleteSubscription": (self.delete, "DeleteSubscriptionRequest", "Empty"),
            "ModifyPushConfig": (self.modify_push_config, "ModifyPushConfigRequest", "Empty"),
            "Pull": (self.pull, "PullRequest", "PullResponse"),
            "Acknowledge": (self.acknowledge, "AcknowledgeRequest", "Empty"),
            "ModifyAckDeadline": (self.modify_ack_deadline, "ModifyAckDeadlineRequest", "Empty"),
            "Seek": (self.seek, "SeekRequest", "SeekResponse"),
        }

    async def create(self, request: Any, _: Any) -> Any:
        check_subscription(request)
        if request.topic not in self._broker.topics:
            raise NotFound("Subscription topic does not exist")
        self._check_dead_letter_topic(request)
        request.detached = False
        await self._broker.create_subscription(request)
        return request

    async def get(self, request: Any, _: Any) -> Any:
        return self._broker.subscription(request.subscription).pb

    async def list(self, request: Any, _: Any) -> Any:
        check_project(request.project)
        names, token = page((n for n in self._broker.subscriptions if n.startswith(f"{request.project}/")), request)
        subscriptions = [self._broker.subscriptions[name].pb for name in names]
        return _ListSubscriptionsResponse(subscriptions=subscriptions, next_page_token=token)

    async def update(self, request: Any, _: Any) -> Any:
        subscription = self._broker.subscriptions.get(request.subscription.name)
        if subscription is None:
            raise NotFound("Subscription not found.")
        paths = request.update_mask.paths
        check_mask("UpdateSubscriptionRequest", "Subscription", SUBSCRIPTION_FIELDS, paths, request.subscription)
        changed = wire.Subscription()
        changed.CopyFrom(subscription.pb)
        copy_fields(request.subscription, changed, paths)
        check_subscription(changed)
        if "dead_letter_policy" in paths:
            self._check_dead_letter_topic(changed)
        subscription.pb = changed
        await self._broker.save_subscription(subscription)
        return changed

    async def delete(self, request: Any, _: Any) -> Any:
        await self._broker.delete_subscription(request.subscription)
        return wire.Empty()

    async def modify_push_config(self, request: Any, _: Any) -> Any:
        subscription = self._broker.subscription(request.subscription)
        check_push_config(request.push_config)
        subscription.pb.push_config.CopyFrom(request.push_config)
        await self._broker.save_subscription(subscription)
        return wire.Empty()

    async def pull(self, request: Any, context: Any) -> Any:
        subscription = self._broker.subscription(request.subscription)
        if request.max_messages == 0:
            raise InvalidArgument("No max_messages specified")
        if request.max_messages < 0:
            raise InvalidArgument("max_messages cannot be negative")
        subscription.check_pullable()
        waiting = _WaitingPull(subscription, min(request.max_messages, _MAX_PULL_MESSAGES))
        if waiting.feed() or request.return_immediately:
            messages = waiting.answer.result() if waiting.answer.done() else []
        else:
            messages = await self._wait(subscription, waiting, context.time_remaining())
        return _PullResponse(received_messages=messages)

    async def _wait(self, subscription: Subscription, waiting: _WaitingPull, remaining_s: float | None) -> Any:
        patience_s = MAX_PULL_WAIT_S if remaining_s is None else min(remaining_s, MAX_PULL_WAIT_S)
        subscription.subscribe(waiting)
        try:
            await asyncio.wait([waiting.answer], timeout=max(0.0, patience_s - ANSWER_BEFORE_DEADLINE_S))
        finally:
            subscription.unsubscribe(waiting)
        return waiting.answer.result() if waiting.answer.done() else []

    async def acknowledge(self, request: Any, _: Any) -> Any:
        subscription = self._broker.subscription(request.subscription)
        if not request.ack_ids:
            raise InvalidArgument("No ack ids specified.")
        subscription.acknowledge(request.ack_ids)
        return wire.Empty()

    async def modify_ack_deadline(self, request: Any, _: Any) -> Any:
        subscription = self._broker.subscription(request.subscription)
        if not request.ack_ids:
            raise InvalidArgument("No ack ids specified")
        if request.ack_deadline_seconds < 0:
            raise InvalidArgument("Ack deadline cannot be negative")
        if request.ack_deadline_seconds > MAX_ACK_DEADLINE_S:
            raise InvalidArgument(f"Ack deadline cannot be more than {MAX_ACK_DEADLINE_S} seconds")
        subscription.modify_deadlines((ack_id, request.ack_deadline_seconds) for ack_id in request.ack_ids)
        return wire.Empty()

    async def seek(self, request: Any, _: Any) -> Any:
        subscription = self._broker.subscription(request.subscription)
        if request.WhichOneof("target") == "snapshot":
            raise NotFound("Snapshot not found")
        if not request.HasField("time"):
            raise InvalidArgument(
                "No target was specified in the SeekRequest. Must specify either a time or a snapshot"
            )
        subscription.seek(int(request.time.seconds * 1000 + request.time.nanos // 1_000_000))
        await self._broker.store.commit()
        return _SeekResponse()

    def _check_dead_letter_topic(self, subscription: Any) -> None:
        if (
            subscription.HasField("dead_letter_policy")
            and subscription.dead_letter_policy.dead_letter_topic not in self._broker.topics
        ):
            raise NotFound("Dead letter topic not found")
