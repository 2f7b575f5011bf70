"""ModifyAckDeadline: a lease is extended, cut short, or given up."""

import time

from tests.integration.local.pubsub.client import Client, data


def test_a_nack_brings_the_message_back_at_once(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    client.publish(topic, b"x")
    first = client.pull(subscription)
    client.nack(subscription, first)
    redelivered = client.pull(subscription)
    assert redelivered[0].message.message_id == first[0].message.message_id
    assert redelivered[0].ack_id != first[0].ack_id


def test_a_lease_runs_out_and_can_be_extended(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    client.publish(topic, b"short", b"long")
    by_data = {received.message.data: received for received in client.pull_many(subscription, 2)}
    client.modify(subscription, [by_data[b"short"]], 1)
    client.modify(subscription, [by_data[b"long"]], 60)
    started = time.monotonic()
    assert data(client.pull_many(subscription, 1, wait_s=30)) == ["short"]
    assert time.monotonic() - started > 0.5
    assert client.pull_nothing(subscription)
