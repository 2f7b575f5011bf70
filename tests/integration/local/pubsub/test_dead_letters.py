"""Retry policies and dead-letter topics."""

import time

from tests.integration.local.pubsub.client import Client, Endpoint, data


def test_a_message_that_keeps_failing_goes_to_the_dead_letter_topic(client: Client) -> None:
    topic, dead = client.topic(), client.topic("dead")
    graveyard = client.subscription(dead, "graveyard")
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    subscription = client.subscription(topic, dead_letter_policy=policy)
    (id_,) = client.publish(topic, {"data": b"poison", "attributes": {"user": "1"}, "ordering_key": "k"})

    attempts = []
    for _ in range(5):
        received = client.pull(subscription)
        attempts.append(received[0].delivery_attempt)
        client.nack(subscription, received)

    assert attempts == [1, 2, 3, 4, 5]
    assert client.pull_nothing(subscription)  # which is when the emulator forwards it
    (buried,) = client.pull(graveyard)
    attributes = dict(buried.message.attributes)
    assert (buried.message.data, buried.message.ordering_key) == (b"poison", "k")
    assert buried.message.message_id != id_
    assert attributes.pop("CloudPubSubDeadLetterSourceTopicPublishTime").endswith("Z")
    assert attributes == {
        "user": "1",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": "worker",
        "CloudPubSubDeadLetterSourceSubscriptionProject": client.project,
    }


def test_without_its_dead_letter_topic_a_message_is_tried_on(client: Client) -> None:
    topic, dead = client.topic(), client.topic("dead")
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    subscription = client.subscription(topic, dead_letter_policy=policy)
    client.publisher.delete_topic(topic=dead)
    client.publish(topic, b"x")
    for attempt in range(1, 8):
        received = client.pull(subscription)
        assert received[0].delivery_attempt == attempt
        client.nack(subscription, received)


def test_a_push_that_keeps_failing_goes_to_the_dead_letter_topic(client: Client, endpoint: Endpoint) -> None:
    topic, dead = client.topic(), client.topic("dead")
    graveyard = client.subscription(dead, "graveyard")
    endpoint.status = 500
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    client.subscription(topic, push_config={"push_endpoint": endpoint.url}, dead_letter_policy=policy)
    client.publish(topic, b"x")
    assert data(client.pull(graveyard, wait_s=15)) == ["x"]
    assert len(endpoint.posts) == 5


def test_a_retry_policy_backs_off(client: Client, endpoint: Endpoint) -> None:
    policy = {"minimum_backoff": {"seconds": 1}, "maximum_backoff": {"seconds": 2}}
    endpoint.status = 500
    topic = client.topic()
    client.subscription(topic, push_config={"push_endpoint": endpoint.url}, retry_policy=policy)
    client.publish(topic, b"x")
    endpoint.wait_for(3)
    first, second = endpoint.times[1] - endpoint.times[0], endpoint.times[2] - endpoint.times[1]
    assert first > 0.9
    assert second > 1.7


def test_a_nacked_pull_backs_off_too(embedded: Client) -> None:
    """The emulator's first redelivery of a nacked pull comes at once, whatever the policy says."""
    policy = {"minimum_backoff": {"nanos": 300_000_000}, "maximum_backoff": {"seconds": 2}}
    topic = embedded.topic()
    subscription = embedded.subscription(topic, retry_policy=policy)
    embedded.publish(topic, b"x")
    embedded.nack(subscription, embedded.pull(subscription))
    started = time.monotonic()
    assert data(embedded.pull(subscription)) == ["x"]
    assert time.monotonic() - started > 0.25
