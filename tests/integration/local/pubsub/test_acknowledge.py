"""Acknowledge: which ack ids count, and for how long."""

import time

import pytest
from google.api_core import exceptions

from tests.integration.local.pubsub.client import Client, data


def test_what_is_acknowledged_does_not_come_again(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    client.publish(topic, b"a", b"b")
    received = client.pull_many(subscription, 2)
    client.modify(subscription, received, 1)
    client.acknowledge(subscription, received[:1])
    assert data(client.pull_many(subscription, 1, wait_s=30)) == [received[1].message.data.decode()]


def test_an_old_ack_id_does_not_finish_a_message_handed_out_again(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    client.publish(topic, b"x")
    old = client.pull(subscription)
    client.modify(subscription, old, 1)
    new = client.pull_many(subscription, 1, wait_s=30)
    client.acknowledge(subscription, old)
    client.nack(subscription, new)
    assert data(client.pull(subscription)) == ["x"]


def test_a_late_ack_counts_while_nobody_else_has_the_message(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    client.publish(topic, b"x")
    received = client.pull(subscription)
    client.modify(subscription, received, 1)
    time.sleep(1.5)
    client.acknowledge(subscription, received)
    assert client.pull_nothing(subscription)


def test_ack_ids_must_be_of_the_subscription_but_may_be_used_up(client: Client) -> None:
    topic = client.topic()
    subscription, other = client.subscription(topic), client.subscription(topic, "other")
    client.publish(topic, b"x")
    received = client.pull(other)
    with pytest.raises(exceptions.InvalidArgument, match="received an invalid ack ID"):
        client.acknowledge(subscription, received)
    client.acknowledge(other, received)
    client.acknowledge(other, received)
    with pytest.raises(exceptions.InvalidArgument, match="Invalid ack id"):
        client.subscriber.acknowledge(subscription=subscription, ack_ids=["bogus"])
    with pytest.raises(exceptions.InvalidArgument, match="Invalid ack id"):
        client.subscriber.modify_ack_deadline(subscription=subscription, ack_ids=["bogus"], ack_deadline_seconds=10)
    with pytest.raises(exceptions.InvalidArgument, match="No ack ids specified"):
        client.subscriber.acknowledge(subscription=subscription, ack_ids=[])
    with pytest.raises(exceptions.InvalidArgument, match="cannot be negative"):
        client.modify(subscription, received, -1)


def test_exactly_once_tells_which_ack_ids_no_longer_count(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic, enable_exactly_once_delivery=True)
    client.publish(topic, b"x")
    received = client.pull(subscription)
    client.acknowledge(subscription, received)
    with pytest.raises(exceptions.InvalidArgument) as caught:
        client.acknowledge(subscription, received)
    assert caught.value.reason == "EXACTLY_ONCE_ACKID_FAILURE"
    assert caught.value.metadata == {received[0].ack_id: "PERMANENT_FAILURE_INVALID_ACK_ID"}
