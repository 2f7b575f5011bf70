"""Publish: which messages are accepted, and to whom they go."""

import time
from typing import Any

import pytest
from google.api_core import exceptions

from tests.integration.local.pubsub.client import Client, data


def test_a_message_arrives_as_it_was_published(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    before = time.time()
    content = {"data": b"\x00\xff", "attributes": {"kind": "view", "empty": ""}, "ordering_key": "k"}
    ids = client.publish(topic, content | {"message_id": "mine"}, b"second")

    received = client.pull_many(subscription, 2)

    assert [r.message.message_id for r in received] == ids
    assert len(set(ids)) == 2
    assert "mine" not in ids
    first = received[0]
    assert (first.message.data, dict(first.message.attributes)) == (content["data"], content["attributes"])
    assert first.message.ordering_key == "k"
    assert abs(first.message.publish_time.timestamp() - before) < 5
    assert first.delivery_attempt == 0
    assert first.ack_id.startswith(subscription)


def test_every_subscription_gets_its_own_copy(client: Client) -> None:
    topic = client.topic()
    subscriptions = [client.subscription(topic, f"worker-{n}") for n in range(3)]
    client.publish(topic, b"x")
    for subscription in subscriptions:
        received = client.pull(subscription)
        assert data(received) == ["x"]
        client.acknowledge(subscription, received)


def test_a_subscription_sees_only_what_came_after_it(client: Client) -> None:
    topic = client.topic()
    client.publish(topic, b"before")
    subscription = client.subscription(topic)
    client.publish(topic, b"after")
    assert data(client.pull(subscription)) == ["after"]


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([], "No messages to publish"),
        ([{}], "Some messages are empty"),
        ([{"data": b"x"}, {}], "Some messages are empty"),
        ([{"ordering_key": "k"}], "Some messages are empty"),
        ([{"data": b"x"}] * 1001, "Too many messages to publish"),
    ],
)
def test_an_unpublishable_request_is_refused_whole(client: Client, messages: list[Any], why: str) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    with pytest.raises(exceptions.InvalidArgument, match=why):
        client.publish(topic, *messages)
    assert client.pull_nothing(subscription)


def test_a_message_of_attributes_only_is_accepted_and_so_are_a_thousand_at_once(client: Client) -> None:
    topic = client.topic()
    assert len(client.publish(topic, {"attributes": {"a": ""}})) == 1
    assert len(client.publish(topic, *[b"x"] * 1000)) == 1000


def test_publishing_to_no_topic_is_not_found(client: Client) -> None:
    with pytest.raises(exceptions.NotFound, match="Topic not found"):
        client.publish(f"projects/{client.project}/topics/nothing", b"x")


@pytest.mark.parametrize(
    "message",
    [
        {"data": b"x", "attributes": {"": "v"}},
        {"data": b"x", "attributes": {"k" * 257: "v"}},
        {"data": b"x", "attributes": {"k": "v" * 1025}},
        {"data": b"x", "attributes": {f"k{n}": "v" for n in range(101)}},
        {"data": b"x", "attributes": {"googkey": "v"}},
        {"data": b"x", "ordering_key": "k" * 1025},
        {"data": b"x" * 10_000_001},
    ],
    ids=["empty key", "long key", "long value", "101 attributes", "goog", "long ordering key", "10 MB"],
)
def test_the_services_limits_hold(embedded: Client, message: dict[str, Any]) -> None:
    """The emulator accepts all of these."""
    topic = embedded.topic()
    with pytest.raises(exceptions.InvalidArgument):
        embedded.publish(topic, message)
