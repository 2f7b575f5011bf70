"""Topics: created, read, listed, updated and deleted, with what stays of their subscriptions."""

import pytest
from google.api_core import exceptions

from tests.integration.local.pubsub.client import Client, data


def test_a_topic_is_created_read_listed_and_deleted(client: Client) -> None:
    topic = client.topic("events", labels={"team": "shop"})
    second = client.topic("other")

    assert client.publisher.get_topic(topic=topic).labels == {"team": "shop"}
    assert [t.name for t in client.publisher.list_topics(project=f"projects/{client.project}")] == [topic, second]
    client.publisher.delete_topic(topic=topic)
    with pytest.raises(exceptions.NotFound, match="Topic not found"):
        client.publisher.get_topic(topic=topic)
    with pytest.raises(exceptions.NotFound, match="Topic not found"):
        client.publisher.delete_topic(topic=topic)


def test_a_topic_exists_once(client: Client) -> None:
    client.topic()
    with pytest.raises(exceptions.AlreadyExists, match="Topic already exists"):
        client.topic()


@pytest.mark.parametrize("name", ["ab", "1abc", "google", "a b c", "x" * 256, "abc/def"])
def test_a_malformed_name_is_refused(client: Client, name: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=r"Invalid \[topics\] name"):
        client.topic(name)
    with pytest.raises(exceptions.InvalidArgument, match=r"Invalid \[subscriptions\] name"):
        client.subscription("projects/p/topics/events", name)


def test_lists_come_in_pages(client: Client) -> None:
    names = [client.topic(f"topic-{n}") for n in range(5)]
    pages = list(client.publisher.list_topics(request={"project": f"projects/{client.project}", "page_size": 2}).pages)
    assert [len(page.topics) for page in pages] == [2, 2, 1]
    assert [topic.name for page in pages for topic in page.topics] == names


def test_an_update_changes_only_what_its_mask_names(client: Client) -> None:
    topic = client.topic(labels={"a": "b"})
    update = {"name": topic, "message_retention_duration": {"seconds": 1200}, "labels": {"c": "d"}}
    changed = client.publisher.update_topic(topic=update, update_mask={"paths": ["message_retention_duration"]})
    assert changed.message_retention_duration.total_seconds() == 1200
    assert changed.labels == {"a": "b"}


@pytest.mark.parametrize("paths", [[], ["bogus"], ["name"]])
def test_a_topic_update_without_a_usable_mask_is_refused(client: Client, paths: list[str]) -> None:
    topic = client.topic()
    with pytest.raises(exceptions.InvalidArgument, match="update_mask"):
        client.publisher.update_topic(topic={"name": topic}, update_mask={"paths": paths})


def test_a_topics_labels_can_be_updated(embedded: Client) -> None:
    """The emulator knows no update of labels."""
    topic = embedded.topic(labels={"a": "b"})
    update = {"name": topic, "labels": {"c": "d"}}
    assert embedded.publisher.update_topic(topic=update, update_mask={"paths": ["labels"]}).labels == {"c": "d"}


def test_a_topic_lists_its_subscriptions(client: Client) -> None:
    topic = client.topic()
    subscriptions = [client.subscription(topic, f"worker-{n}") for n in range(3)]
    assert list(client.publisher.list_topic_subscriptions(topic=topic)) == subscriptions


def test_a_subscription_outlives_its_topic(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    client.publish(topic, b"kept")
    client.publisher.delete_topic(topic=topic)

    assert client.subscriber.get_subscription(subscription=subscription).topic == "_deleted-topic_"
    assert data(client.pull(subscription)) == ["kept"]
    client.topic()
    assert list(client.publisher.list_topic_subscriptions(topic=topic)) == []


def test_a_detached_subscription_keeps_and_gets_nothing(embedded: Client) -> None:
    """The emulator answers DetachSubscription with UNIMPLEMENTED."""
    topic = embedded.topic()
    subscription = embedded.subscription(topic)
    embedded.publish(topic, b"gone")
    embedded.publisher.detach_subscription(request={"subscription": subscription})

    assert embedded.subscriber.get_subscription(subscription=subscription).detached
    assert list(embedded.publisher.list_topic_subscriptions(topic=topic)) == []
    with pytest.raises(exceptions.FailedPrecondition):
        embedded.pull(subscription)


def test_schemas_and_snapshots_are_cleanly_unimplemented(embedded: Client) -> None:
    """The emulator has both; nothing here uses them."""
    with pytest.raises(exceptions.MethodNotImplemented):
        list(embedded.schemas.list_schemas(parent=f"projects/{embedded.project}", retry=None))
    with pytest.raises(exceptions.MethodNotImplemented):
        list(embedded.subscriber.list_snapshots(project=f"projects/{embedded.project}", retry=None))
