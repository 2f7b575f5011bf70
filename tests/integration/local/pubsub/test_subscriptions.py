"""Subscriptions: their settings, defaults, limits and updates."""

from typing import Any

import pytest
from google.api_core import exceptions

from tests.integration.local.pubsub.client import Client


def test_a_subscription_shows_its_settings_and_their_defaults(client: Client) -> None:
    topic = client.topic()
    plain = client.subscriber.get_subscription(subscription=client.subscription(topic, "plain"))
    assert (plain.ack_deadline_seconds, plain.message_retention_duration.days) == (10, 7)

    settings: dict[str, Any] = {
        "ack_deadline_seconds": 600,
        "retain_acked_messages": True,
        "message_retention_duration": {"seconds": 1000},
        "labels": {"a": "b"},
        "enable_message_ordering": True,
        "expiration_policy": {"ttl": {"seconds": 86_400}},
        "filter": "attributes:k",
        "dead_letter_policy": {"dead_letter_topic": topic},
        "retry_policy": {},
        "enable_exactly_once_delivery": True,
    }
    path = client.subscription(topic, "full", **settings)
    full = client.subscriber.get_subscription(subscription=path)
    assert (full.ack_deadline_seconds, full.retain_acked_messages, full.labels) == (600, True, {"a": "b"})
    assert (full.enable_message_ordering, full.enable_exactly_once_delivery) == (True, True)
    assert (full.filter, full.expiration_policy.ttl.days) == ("attributes:k", 1)
    assert full.message_retention_duration.total_seconds() == 1000
    assert full.dead_letter_policy.max_delivery_attempts == 5
    assert full.retry_policy.minimum_backoff.total_seconds() == 10
    assert full.retry_policy.maximum_backoff.total_seconds() == 600
    listed = client.subscriber.list_subscriptions(project=f"projects/{client.project}")
    assert [s.name.rpartition("/")[2] for s in listed] == ["full", "plain"]


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"ack_deadline_seconds": 601}, exceptions.InvalidArgument),
        ({"message_retention_duration": {"seconds": 599}}, exceptions.InvalidArgument),
        ({"message_retention_duration": {"seconds": 32 * 86_400}}, exceptions.InvalidArgument),
        ({"push_config": {"push_endpoint": "nowhere"}}, exceptions.InvalidArgument),
        (
            {"retry_policy": {"minimum_backoff": {"seconds": 10}, "maximum_backoff": {"seconds": 5}}},
            exceptions.InvalidArgument,
        ),
        ({"retry_policy": {"maximum_backoff": {"seconds": 601}}}, exceptions.InvalidArgument),
        ({"dead_letter_policy": {"max_delivery_attempts": 4}}, exceptions.OutOfRange),
        ({"dead_letter_policy": {"max_delivery_attempts": 101}}, exceptions.OutOfRange),
        ({"dead_letter_policy": {"dead_letter_topic": "projects/p/topics/none"}}, exceptions.NotFound),
    ],
)
def test_settings_out_of_range_are_refused(client: Client, settings: dict[str, Any], error: Any) -> None:
    topic = client.topic()
    policy = settings.get("dead_letter_policy")
    if policy is not None:
        settings = {"dead_letter_policy": {"dead_letter_topic": topic, **policy}}
    with pytest.raises(error):
        client.subscription(topic, **settings)


def test_a_subscription_exists_once_and_needs_its_topic(client: Client) -> None:
    topic = client.topic()
    client.subscription(topic)
    with pytest.raises(exceptions.AlreadyExists, match="Subscription already exists"):
        client.subscription(topic)
    with pytest.raises(exceptions.NotFound, match="Subscription topic does not exist"):
        client.subscription(f"{topic}-not", "other")


def test_settings_are_updated_by_mask(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    policy = {"dead_letter_topic": topic, "max_delivery_attempts": 7}
    changed = client.update(
        subscription,
        "ack_deadline_seconds",
        "dead_letter_policy",
        ack_deadline_seconds=20,
        dead_letter_policy=policy,
        retain_acked_messages=True,
    )
    assert changed.ack_deadline_seconds == 20
    assert changed.dead_letter_policy.max_delivery_attempts == 7
    assert not changed.retain_acked_messages
    assert "dead_letter_policy" not in client.update(subscription, "dead_letter_policy")


@pytest.mark.parametrize("path", ["filter", "topic", "enable_message_ordering", "name", "bogus"])
def test_what_is_fixed_for_life_cannot_be_updated(client: Client, path: str) -> None:
    subscription = client.subscription(client.topic())
    with pytest.raises(exceptions.InvalidArgument):
        client.update(subscription, path, filter="attributes:k")


def test_calls_on_no_subscription_are_not_found(client: Client) -> None:
    missing = f"projects/{client.project}/subscriptions/nothing"
    calls = [
        lambda: client.subscriber.get_subscription(subscription=missing),
        lambda: client.subscriber.delete_subscription(subscription=missing),
        lambda: client.pull(missing),
        lambda: client.subscriber.acknowledge(subscription=missing, ack_ids=["x:1"]),
        lambda: client.subscriber.modify_push_config(subscription=missing, push_config={}),
        lambda: client.update(missing, "ack_deadline_seconds"),
    ]
    for call in calls:
        with pytest.raises(exceptions.NotFound):
            call()
