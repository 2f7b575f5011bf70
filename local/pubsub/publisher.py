"""The Publisher service: topics, and publishing to them."""

from collections.abc import Iterable
from typing import Any

from local.pubsub import wire
from local.pubsub.broker import Broker
from local.pubsub.errors import NotFound
from local.pubsub.rpc import Unary
from local.pubsub.validation import (
    TOPIC_FIELDS,
    check_mask,
    check_name,
    check_project,
    check_publish,
    check_topic,
    copy_fields,
)

_DEFAULT_PAGE = 100
_ListTopicsResponse = wire.raw("ListTopicsResponse")
_ListTopicSubscriptionsResponse = wire.raw("ListTopicSubscriptionsResponse")
_DetachSubscriptionResponse = wire.raw("DetachSubscriptionResponse")
_PublishResponse = wire.raw("PublishResponse")


def page(names: Iterable[str], request: Any) -> tuple[list[str], str]:
    """Return the names on the requested page and the next page's token, which is its first name."""
    size = request.page_size if request.page_size > 0 else _DEFAULT_PAGE
    rest = sorted(name for name in names if name >= request.page_token)
    return rest[:size], rest[size] if len(rest) > size else ""


class Publisher:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.methods: dict[str, Unary] = {
            "CreateTopic": (self.create, "Topic", "Topic"),
            "GetTopic": (self.get, "GetTopicRequest", "Topic"),
            "ListTopics": (self.list, "ListTopicsRequest", "ListTopicsResponse"),
            "UpdateTopic": (self.update, "UpdateTopicRequest", "Topic"),
            "DeleteTopic": (self.delete, "DeleteTopicRequest", "Empty"),
            "ListTopicSubscriptions": (
                self.list_subscriptions,
                "ListTopicSubscriptionsRequest",
                "ListTopicSubscriptionsResponse",
            ),
            "DetachSubscription": (self.detach, "DetachSubscriptionRequest", "DetachSubscriptionResponse"),
            "Publish": (self.publish, "PublishRequest", "PublishResponse"),
        }

    async def create(self, request: Any, _: Any) -> Any:
        check_topic(request)
        await self._broker.create_topic(request)
        return request

    async def get(self, request: Any, _: Any) -> Any:
        return self._broker.topic(request.topic).pb

    async def list(self, request: Any, _: Any) -> Any:
        check_project(request.project)
        names, token = page((n for n in self._broker.topics if n.startswith(f"{request.project}/")), request)
        topics = [self._broker.topics[name].pb for name in names]
        return _ListTopicsResponse(topics=topics, next_page_token=token)

    async def update(self, request: Any, _: Any) -> Any:
        topic = self._broker.topics.get(request.topic.name)
        if topic is None:
            raise NotFound("Topic not found.")
        paths = request.update_mask.paths
        check_mask("UpdateTopicRequest", "Topic", TOPIC_FIELDS, paths, request.topic)
        changed = wire.Topic()
        changed.CopyFrom(topic.pb)
        copy_fields(request.topic, changed, paths)
        check_topic(changed)
        topic.pb = changed
        await self._broker.save_topic(topic)
        return changed

    async def delete(self, request: Any, _: Any) -> Any:
        await self._broker.delete_topic(request.topic)
        return wire.Empty()

    async def list_subscriptions(self, request: Any, _: Any) -> Any:
        topic = self._broker.topics.get(request.topic)
        names, token = page(topic.subscriptions if topic is not None else (), request)
        return _ListTopicSubscriptionsResponse(subscriptions=names, next_page_token=token)

    async def detach(self, request: Any, _: Any) -> Any:
        check_name(request.subscription, "subscriptions")
        await self._broker.detach_subscription(request.subscription)
        return _DetachSubscriptionResponse()

    async def publish(self, request: Any, _: Any) -> Any:
        topic = self._broker.topic(request.topic)
        check_publish(request.messages, request.ByteSize())
        return _PublishResponse(message_ids=await self._broker.publish(topic, request.messages))
