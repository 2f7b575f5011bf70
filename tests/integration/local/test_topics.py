"""Topics and subscriptions are created once, and follow the events worker to another port."""

from collections.abc import Iterator

import pytest
from google.cloud import pubsub_v1

from local import topics
from shared.manifest import manifest
from tests.integration.conftest import Environment


@pytest.fixture
def project(env: Environment) -> Iterator[Environment]:
    # a project of its own, since no worker listens at the endpoints
    yield env | {"GOOGLE_CLOUD_PROJECT": "topics-test"}
    with pubsub_v1.SubscriberClient() as client:
        for subscription in client.list_subscriptions(project="projects/topics-test"):
            client.delete_subscription(subscription=subscription.name)


def test_subscriptions_are_as_functions_yaml_says(project: Environment) -> None:
    topics.ensure(manifest(), "http://127.0.0.1:1/_events", project, "push-token")
    # again, with the worker on another port
    topics.ensure(manifest(), "http://127.0.0.1:2/_events", project, "push-token")
    with pubsub_v1.SubscriberClient() as client:
        listed = client.list_subscriptions(project="projects/topics-test")
        subscriptions = {subscription.name.split("/")[-1]: subscription for subscription in listed}
    events = {entry.name: entry for entry in manifest().of_kind("event")}
    assert set(subscriptions) == {*events, *(name + topics.DEAD_LETTER for name in manifest().topics)}
    for name, entry in events.items():
        subscription = subscriptions[name]
        assert subscription.topic == f"projects/topics-test/topics/{entry.topic}"
        assert subscription.filter == entry.filter
        assert subscription.push_config.push_endpoint == f"http://127.0.0.1:2/_events/{name}?token=push-token"
        assert (
            subscription.dead_letter_policy.dead_letter_topic
            == f"projects/topics-test/topics/{entry.topic}-dead-letter"
        )
        assert subscription.dead_letter_policy.max_delivery_attempts == entry.attempts
        assert subscription.retry_policy.minimum_backoff.total_seconds() == entry.min_backoff_s
        assert subscription.retry_policy.maximum_backoff.total_seconds() == entry.max_backoff_s
    assert subscriptions["user-events-dead-letter"].push_config.push_endpoint == ""


def test_a_changed_filter_recreates_the_subscription(project: Environment) -> None:
    with pubsub_v1.SubscriberClient() as client:
        topics.ensure(manifest(), "http://127.0.0.1:1/_events", project, "push-token")
        path = client.subscription_path("topics-test", "update_popularity")
        original = client.get_subscription(subscription=path)
        client.delete_subscription(subscription=path)
        other = {"name": path, "topic": original.topic, "filter": 'attributes.other = "1"'}
        client.create_subscription(request=other)
        topics.ensure(manifest(), "http://127.0.0.1:1/_events", project, "push-token")
        assert client.get_subscription(subscription=path).filter == original.filter
