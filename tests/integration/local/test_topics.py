"""Topics and subscriptions are made once, and follow the events worker when it moves."""

from collections.abc import Iterator

import pytest
from google.cloud import pubsub_v1

from local import topics
from shared.manifest import manifest
from tests.integration.conftest import Environment


@pytest.fixture
def project(env: Environment) -> Iterator[Environment]:
    # its own, so that nothing is delivered to where nobody listens
    yield env | {"GOOGLE_CLOUD_PROJECT": "topics-test"}
    for client in (pubsub_v1.SubscriberClient(),):
        for found in client.list_subscriptions(project="projects/topics-test"):
            client.delete_subscription(subscription=found.name)
        client.close()


def test_subscriptions_are_as_functions_yaml_says(project: Environment) -> None:
    topics.ensure(manifest(), "http://127.0.0.1:1/_events", project)
    # again, with the worker on another port
    topics.ensure(manifest(), "http://127.0.0.1:2/_events", project)
    with pubsub_v1.SubscriberClient() as client:
        found = {one.name.split("/")[-1]: one for one in client.list_subscriptions(project="projects/topics-test")}
    events = {entry.name: entry for entry in manifest().of_kind("event")}
    assert set(found) == {*events, *(name + topics.DEAD_LETTER for name in manifest().topics)}
    for name, entry in events.items():
        one = found[name]
        assert one.topic == f"projects/topics-test/topics/{entry.topic}"
        assert one.filter == entry.filter
        assert one.push_config.push_endpoint == f"http://127.0.0.1:2/_events/{name}"
        assert one.dead_letter_policy.dead_letter_topic == f"projects/topics-test/topics/{entry.topic}-dead-letter"
        assert one.dead_letter_policy.max_delivery_attempts == entry.attempts
        assert one.retry_policy.minimum_backoff.total_seconds() == 1
    assert found["user-events-dead-letter"].push_config.push_endpoint == ""


def test_a_changed_filter_makes_the_subscription_anew(project: Environment) -> None:
    with pubsub_v1.SubscriberClient() as client:
        topics.ensure(manifest(), "http://127.0.0.1:1/_events", project)
        path = client.subscription_path("topics-test", "update_popularity")
        wanted = client.get_subscription(subscription=path)
        client.delete_subscription(subscription=path)
        other = {"name": path, "topic": wanted.topic, "filter": 'attributes.other = "1"'}
        client.create_subscription(request=other)
        topics.ensure(manifest(), "http://127.0.0.1:1/_events", project)
        assert client.get_subscription(subscription=path).filter == wanted.filter
