"""One suite for both servers: ours does what Google's emulator does.

A test takes ``client`` where both behave alike, ``embedded`` where Google's emulator lacks what the service has; its
docstring then says what the emulator does instead (seen with its version 0.8.20).
"""

import threading
import time
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.protobuf.timestamp_pb2 import Timestamp

from tests.integration.pubsub.client import Client, Endpoint, wait_until


def data(messages: list[Any]) -> list[str]:
    return [received.message.data.decode() for received in messages]


def keyed(*names: str, key: str = "shopper") -> list[dict[str, Any]]:
    return [{"data": name.encode(), "ordering_key": key} for name in names]


# topics


def test_a_topic_is_created_read_listed_and_deleted(client: Client) -> None:
    topic = client.topic("events", labels={"team": "shop"})
    other = client.topic("other")

    assert client.publisher.get_topic(topic=topic).labels == {"team": "shop"}
    assert [t.name for t in client.publisher.list_topics(project=f"projects/{client.project}")] == [topic, other]
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


# publishing


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


# subscriptions


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


# pulling


def test_an_empty_pull_waits_for_a_message_and_then_answers_at_once(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    timer = threading.Timer(0.3, lambda: client.publish(topic, b"late"))
    timer.start()
    started = time.monotonic()
    received = client.pull(subscription, wait_s=10)
    timer.join()
    assert data(received) == ["late"]
    assert time.monotonic() - started < 8


def test_an_empty_pull_is_answered_before_its_deadline(client: Client) -> None:
    subscription = client.subscription(client.topic())
    started = time.monotonic()
    assert client.pull(subscription, wait_s=0.5) == []
    assert time.monotonic() - started > 0.3


@pytest.mark.filterwarnings("ignore:The return_immediately flag is deprecated")
def test_return_immediately_does_not_wait(client: Client) -> None:
    subscription = client.subscription(client.topic())
    request = {"subscription": subscription, "max_messages": 1, "return_immediately": True}
    started = time.monotonic()
    assert not client.subscriber.pull(request=request, retry=None, timeout=10).received_messages
    assert time.monotonic() - started < 8


def test_a_pull_gives_no_more_than_it_was_asked_for_and_nothing_twice(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    client.publish(topic, *[str(n).encode() for n in range(10)])
    first = client.pull(subscription, 3)
    assert len(first) <= 3
    rest = client.pull_many(subscription, 10 - len(first))
    assert sorted(data(first + rest)) == [str(n) for n in range(10)]
    assert client.pull_nothing(subscription)


def test_a_pull_for_nothing_is_refused(client: Client) -> None:
    subscription = client.subscription(client.topic())
    with pytest.raises(exceptions.InvalidArgument, match="No max_messages specified"):
        client.pull(subscription, 0)


def test_what_is_acknowledged_does_not_come_again(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    client.publish(topic, b"a", b"b")
    received = client.pull_many(subscription, 2)
    client.modify(subscription, received, 1)
    client.acknowledge(subscription, received[:1])
    assert data(client.pull_many(subscription, 1, wait_s=30)) == [received[1].message.data.decode()]


def test_a_nack_brings_the_message_back_at_once(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    client.publish(topic, b"x")
    first = client.pull(subscription)
    client.nack(subscription, first)
    again = client.pull(subscription)
    assert again[0].message.message_id == first[0].message.message_id
    assert again[0].ack_id != first[0].ack_id


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


# streaming


def test_the_client_librarys_subscriber_gets_everything_and_acknowledges_it(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    seen: list[str] = []

    def take(message: Any) -> None:
        seen.append(message.data.decode())
        message.ack()

    future = client.subscriber.subscribe(subscription, take, flow_control=pubsub_v1.types.FlowControl(max_messages=50))
    futures = [client.publisher.publish(topic, str(n).encode(), n=str(n)) for n in range(300)]
    for published in futures:
        published.result(timeout=20)
    wait_until(lambda: len(set(seen)) == 300, what="300 messages")
    future.cancel()
    future.result(timeout=20)
    assert len(seen) == 300


def test_the_client_library_confirms_acks_of_an_exactly_once_subscription(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic, enable_exactly_once_delivery=True)
    outcomes: list[Any] = []

    future = client.subscriber.subscribe(subscription, lambda message: outcomes.append(message.ack_with_response()))
    client.publish(topic, b"a", b"b", b"c")
    wait_until(lambda: len(outcomes) == 3, what="three messages")
    assert [outcome.result(timeout=10).name for outcome in outcomes] == ["SUCCESS"] * 3
    future.cancel()
    future.result(timeout=20)


def test_a_stream_takes_acks_and_nacks(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    with client.stream(subscription) as stream:
        client.publish(topic, b"x")
        (first,) = stream.wait_for(1)
        stream.send(modify_deadline_ack_ids=[first.ack_id], modify_deadline_seconds=[0])
        second = stream.wait_for(2)[1]
        assert second.message.message_id == first.message.message_id
        stream.send(ack_ids=[second.ack_id])
        client.publish(topic, b"y")
        assert data(stream.wait_for(3)) == ["x", "x", "y"]


def test_a_stream_that_went_away_keeps_its_leases(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    client.publish(topic, b"x")
    with client.stream(subscription) as stream:
        received = stream.wait_for(1)
    assert client.pull_nothing(subscription)
    client.modify(subscription, received, 1)
    assert data(client.pull_many(subscription, 1, wait_s=30)) == ["x"]


def test_a_lease_can_be_shortened_on_the_stream(embedded: Client) -> None:
    """The emulator keeps the message leased for the stream's ten seconds all the same."""
    topic = embedded.topic()
    subscription = embedded.subscription(topic)
    embedded.publish(topic, b"x")
    with embedded.stream(subscription) as stream:
        received = stream.wait_for(1)
        stream.send(modify_deadline_ack_ids=[received[0].ack_id], modify_deadline_seconds=[1])
        assert data(stream.wait_for(2)) == ["x", "x"]


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"stream_ack_deadline_seconds": 0}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"stream_ack_deadline_seconds": 601}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"ack_ids": ["bogus"]}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"subscription": ""}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"subscription": "projects/p/subscriptions/none"}, grpc.StatusCode.NOT_FOUND),
    ],
)
def test_a_stream_that_opens_wrongly_is_refused(client: Client, first: dict[str, Any], code: Any) -> None:
    subscription = client.subscription(client.topic())
    with client.stream(**{"subscription": subscription, **first}) as stream:
        wait_until(lambda: stream.error, what="the refusal")
    assert stream.error is not None
    assert stream.error.code() == code


def test_a_stream_names_its_subscription_only_once(client: Client) -> None:
    subscription = client.subscription(client.topic())
    with client.stream(subscription) as stream:
        stream.send(subscription=subscription)
        wait_until(lambda: stream.error, what="the refusal")
    assert stream.error is not None
    assert stream.error.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_deleting_the_subscription_ends_its_streams(client: Client) -> None:
    subscription = client.subscription(client.topic())
    with client.stream(subscription) as stream:
        time.sleep(0.3)
        client.subscriber.delete_subscription(subscription=subscription)
        wait_until(lambda: stream.error, what="the end of the stream")
    assert stream.error is not None
    assert stream.error.code() == grpc.StatusCode.NOT_FOUND


def test_a_push_subscription_cannot_be_streamed(client: Client, endpoint: Endpoint) -> None:
    subscription = client.subscription(client.topic(), push_config={"push_endpoint": endpoint.url})
    with client.stream(subscription) as stream:
        wait_until(lambda: stream.error, what="the refusal")
    assert stream.error is not None
    assert stream.error.code() == grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("limit", [{"max_outstanding_messages": 2}, {"max_outstanding_bytes": 200}])
def test_a_stream_gets_no_more_than_its_client_has_room_for(embedded: Client, limit: dict[str, int]) -> None:
    """The emulator sends everything whatever the limits say."""
    topic = embedded.topic()
    subscription = embedded.subscription(topic)
    embedded.publish(topic, *[b"x" * 90] * 6)
    with embedded.stream(subscription, **limit) as stream:
        stream.wait_for(2)
        time.sleep(0.2)
        assert len(stream.received) == 2
        stream.send(ack_ids=[stream.received[0].ack_id])
        stream.wait_for(3)
        time.sleep(0.2)
        assert len(stream.received) == 3


# push


def test_a_push_carries_googles_envelope(client: Client, endpoint: Endpoint) -> None:
    topic = client.topic()
    subscription = client.subscription(topic, push_config={"push_endpoint": endpoint.url})
    (id_,) = client.publish(topic, {"data": b"\xff\xfe?", "attributes": {"a": "b"}})

    (envelope,) = endpoint.wait_for(1)

    published = envelope["message"]["publishTime"]
    assert envelope == {
        "message": {
            "data": "//4/",
            "attributes": {"a": "b"},
            "messageId": id_,
            "message_id": id_,
            "publishTime": published,
            "publish_time": published,
        },
        "subscription": subscription,
    }
    assert published.endswith("Z")
    assert endpoint.headers[0]["Content-Type"] == "application/json"


def test_a_pushed_message_without_data_or_attributes_still_names_both(client: Client, endpoint: Endpoint) -> None:
    topic = client.topic()
    client.subscription(topic, push_config={"push_endpoint": endpoint.url})
    client.publish(topic, {"attributes": {"a": "b"}}, {"data": b"x"})
    by_data = {post["message"]["data"]: post["message"]["attributes"] for post in endpoint.wait_for(2)}
    assert by_data == {"": {"a": "b"}, "eA==": {}}


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_acknowledges(client: Client, endpoint: Endpoint, status: int) -> None:
    endpoint.status = status
    topic = client.topic()
    client.subscription(topic, push_config={"push_endpoint": endpoint.url})
    client.publish(topic, b"x")
    endpoint.wait_for(1)
    time.sleep(1.2)  # the emulator tries again after a second
    assert len(endpoint.posts) == 1


@pytest.mark.parametrize("status", [102, 202])
def test_the_services_other_acknowledging_statuses_do_too(embedded: Client, endpoint: Endpoint, status: int) -> None:
    """The emulator takes 202 for a failure; the service documents 102, 200, 201, 202 and 204 as acknowledgements."""
    endpoint.status = status
    topic = embedded.topic()
    embedded.subscription(topic, push_config={"push_endpoint": endpoint.url})
    embedded.publish(topic, b"x")
    endpoint.wait_for(1)
    time.sleep(0.4)
    assert len(endpoint.posts) == 1


@pytest.mark.parametrize("status", [301, 404, 500])
def test_anything_else_is_pushed_again(client: Client, endpoint: Endpoint, status: int) -> None:
    endpoint.answer = lambda _: status if len(endpoint.posts) == 1 else 200
    topic = client.topic()
    client.subscription(topic, push_config={"push_endpoint": endpoint.url})
    client.publish(topic, b"x")
    first, second = endpoint.wait_for(2)
    assert first["message"]["messageId"] == second["message"]["messageId"]


def test_turning_push_on_delivers_what_waited_and_turning_it_off_lets_it_be_pulled(
    client: Client, endpoint: Endpoint
) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    client.publish(topic, b"x")
    client.subscriber.modify_push_config(subscription=subscription, push_config={"push_endpoint": endpoint.url})
    endpoint.wait_for(1)
    client.subscriber.modify_push_config(subscription=subscription, push_config={})
    time.sleep(0.2)
    client.publish(topic, b"y")
    assert data(client.pull(subscription)) == ["y"]


def test_a_push_tells_ordering_key_and_delivery_attempt(embedded: Client, endpoint: Endpoint) -> None:
    """The emulator's envelope lacks both; the service's has them."""
    topic = embedded.topic()
    policy = {"dead_letter_topic": embedded.topic("dead")}
    endpoint.status = 500
    embedded.subscription(topic, push_config={"push_endpoint": endpoint.url}, dead_letter_policy=policy)
    embedded.publish(topic, *keyed("x"))
    posts = endpoint.wait_for(2)
    assert [post["deliveryAttempt"] for post in posts[:2]] == [1, 2]
    assert posts[0]["message"]["orderingKey"] == "shopper"


def test_a_push_keeps_its_connections(embedded: Client, endpoint: Endpoint) -> None:
    """How prompt it is is measured: ./aisle bench freshness."""
    topic = embedded.topic()
    embedded.subscription(topic, push_config={"push_endpoint": endpoint.url})
    for n in range(20):
        embedded.publish(topic, b"x")
        endpoint.wait_for(n + 1)
    assert len(endpoint.connections) <= 2


def test_an_endpoint_that_is_down_loses_nothing_and_is_not_stormed(embedded: Client) -> None:
    """The emulator counts attempts nobody saw: five seconds down, and everything is in the dead-letter topic."""
    topic, dead = embedded.topic(), embedded.topic("dead")
    graveyard = embedded.subscription(dead, "graveyard")
    with Endpoint() as gone:
        url = gone.url
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    embedded.subscription(topic, push_config={"push_endpoint": url}, dead_letter_policy=policy)
    embedded.publish(topic, *[str(n).encode() for n in range(20)])
    time.sleep(1.0)
    assert embedded.pull_nothing(graveyard)
    with Endpoint() as back:
        embedded.subscriber.modify_push_config(
            subscription=f"projects/{embedded.project}/subscriptions/worker", push_config={"push_endpoint": back.url}
        )
        wait_until(lambda: len({p["message"]["messageId"] for p in back.posts}) == 20, what="all 20 messages")
        assert {post["deliveryAttempt"] for post in back.posts} == {1}


def test_a_slow_endpoint_is_served_concurrently_within_bounds(embedded: Client, endpoint: Endpoint) -> None:
    """The emulator has no window to speak of."""
    endpoint.delay_s = 0.05
    topic = embedded.topic()
    embedded.subscription(topic, push_config={"push_endpoint": endpoint.url})
    embedded.publish(topic, *[b"x"] * 200)
    endpoint.wait_for(200)
    assert 8 <= len(endpoint.connections) <= 64


# retries and dead letters


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


# ordering


def test_messages_of_a_key_are_pulled_in_order(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic, enable_message_ordering=True)
    for n in range(5):
        client.publish(topic, *keyed(f"{n}a", f"{n}b", key="a"), *keyed(f"{n}c", key="c"))
    received: list[Any] = []
    while len(received) < 15:
        batch = client.pull(subscription, 4)
        client.acknowledge(subscription, batch)
        received += batch
    of = {key: [r for r in received if r.message.ordering_key == key] for key in "ac"}
    assert data(of["a"]) == [f"{n}{half}" for n in range(5) for half in "ab"]
    assert data(of["c"]) == [f"{n}c" for n in range(5)]


def test_a_key_waits_for_what_is_out(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic, enable_message_ordering=True)
    client.publish(topic, *keyed("a"))
    out = client.pull(subscription)
    client.publish(topic, *keyed("b"), *keyed("free", key="other"))
    assert data(client.pull(subscription)) == ["free"]
    client.acknowledge(subscription, out)
    assert data(client.pull(subscription)) == ["b"]


def test_nacking_all_of_a_key_brings_all_back_in_order(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic, enable_message_ordering=True)
    client.publish(topic, *keyed("a", "b", "c"))
    received = client.pull_many(subscription, 3)
    client.nack(subscription, received)
    assert data(client.pull_many(subscription, 3)) == ["a", "b", "c"]


def test_a_nack_brings_back_the_message_and_all_later_ones_of_its_key(embedded: Client) -> None:
    """The emulator waits until the later ones are acknowledged, then brings back only the nacked one."""
    topic = embedded.topic()
    subscription = embedded.subscription(topic, enable_message_ordering=True)
    embedded.publish(topic, *keyed("a", "b", "c", "d"))
    received = embedded.pull_many(subscription, 4)
    embedded.nack(subscription, received[1:2])
    embedded.acknowledge(subscription, received[2:])  # their leases ended with the nack
    assert embedded.pull_nothing(subscription)  # "a" is still out
    embedded.acknowledge(subscription, received[:1])
    assert data(embedded.pull_many(subscription, 3)) == ["b", "c", "d"]


def test_a_key_is_streamed_in_order(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic, enable_message_ordering=True)
    with client.stream(subscription) as stream:
        for n in range(10):
            client.publish(topic, *keyed(str(n)))
        acked = 0
        while acked < 10:
            received = stream.wait_for(acked + 1)
            stream.send(ack_ids=[r.ack_id for r in received[acked:]])
            acked = len(received)
        assert data(stream.received) == [str(n) for n in range(10)]


def test_a_key_is_pushed_in_order_even_through_failures(client: Client, endpoint: Endpoint) -> None:
    accepted: list[str] = []
    fail_once = {"Mg=="}

    def answer(envelope: dict[str, Any]) -> int:
        content = envelope["message"]["data"]
        if content in fail_once:
            fail_once.remove(content)
            return 500
        accepted.append(content)
        return 200

    endpoint.answer = answer
    topic = client.topic()
    client.subscription(topic, enable_message_ordering=True, push_config={"push_endpoint": endpoint.url})
    client.publish(topic, *keyed("1", "2", "3", "4"))
    wait_until(lambda: len(accepted) == 4, what="four accepted pushes")
    assert accepted == ["MQ==", "Mg==", "Mw==", "NA=="]


# filters


def test_a_filter_lets_only_matching_messages_through(embedded: Client) -> None:
    """The emulator accepts filters but delivers everything."""
    topic = embedded.topic()
    subscription = embedded.subscription(topic, filter='attributes.has_purchase = "true"')
    embedded.publish(topic, b"plain", {"data": b"bought", "attributes": {"has_purchase": "true"}})
    assert data(embedded.pull(subscription)) == ["bought"]
    assert embedded.pull_nothing(subscription)


@pytest.mark.parametrize("text", ["attributes:a AND attributes:b OR attributes:c", "nonsense", 'attributes.a = "'])
def test_a_bad_filter_is_refused(embedded: Client, text: str) -> None:
    """The emulator accepts any text."""
    topic = embedded.topic()
    with pytest.raises(exceptions.InvalidArgument, match="filter"):
        embedded.subscription(topic, filter=text)


# seeking


def test_seeking_back_brings_retained_messages_again(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic, retain_acked_messages=True)
    client.publish(topic, b"old")
    time.sleep(0.02)
    middle = Timestamp()
    middle.GetCurrentTime()
    time.sleep(0.02)
    client.publish(topic, b"new")
    client.acknowledge(subscription, client.pull_many(subscription, 2))
    client.subscriber.seek(request={"subscription": subscription, "time": middle})
    assert data(client.pull(subscription)) == ["new"]
    assert client.pull_nothing(subscription)


def test_seeking_forward_skips_the_backlog(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic)
    client.publish(topic, b"old")
    time.sleep(0.02)
    now = Timestamp()
    now.GetCurrentTime()
    client.subscriber.seek(request={"subscription": subscription, "time": now})
    time.sleep(0.02)
    client.publish(topic, b"new")
    assert data(client.pull(subscription)) == ["new"]


def test_a_seek_needs_a_target(client: Client) -> None:
    subscription = client.subscription(client.topic())
    with pytest.raises(exceptions.InvalidArgument, match="No target"):
        client.subscriber.seek(request={"subscription": subscription})
