"""StreamingPull: raw streams, and the client library's subscriber on top of them."""

import time
from typing import Any

import grpc
import pytest
from google.cloud import pubsub_v1

from tests.integration.local.pubsub.client import Client, Endpoint, data, wait_until


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
    wait_until(lambda: len(set(seen)) == 300, awaited="300 messages")
    future.cancel()
    future.result(timeout=20)
    assert len(seen) == 300


def test_the_client_library_confirms_acks_of_an_exactly_once_subscription(client: Client) -> None:
    topic = client.topic()
    subscription = client.subscription(topic, enable_exactly_once_delivery=True)
    outcomes: list[Any] = []

    future = client.subscriber.subscribe(subscription, lambda message: outcomes.append(message.ack_with_response()))
    client.publish(topic, b"a", b"b", b"c")
    wait_until(lambda: len(outcomes) == 3, awaited="three messages")
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
        wait_until(lambda: stream.error, awaited="the refusal")
    assert stream.error is not None
    assert stream.error.code() == code


def test_a_stream_names_its_subscription_only_once(client: Client) -> None:
    subscription = client.subscription(client.topic())
    with client.stream(subscription) as stream:
        stream.send(subscription=subscription)
        wait_until(lambda: stream.error, awaited="the refusal")
    assert stream.error is not None
    assert stream.error.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_deleting_the_subscription_ends_its_streams(client: Client) -> None:
    subscription = client.subscription(client.topic())
    with client.stream(subscription) as stream:
        time.sleep(0.3)
        client.subscriber.delete_subscription(subscription=subscription)
        wait_until(lambda: stream.error, awaited="the end of the stream")
    assert stream.error is not None
    assert stream.error.code() == grpc.StatusCode.NOT_FOUND


def test_a_push_subscription_cannot_be_streamed(client: Client, endpoint: Endpoint) -> None:
    subscription = client.subscription(client.topic(), push_config={"push_endpoint": endpoint.url})
    with client.stream(subscription) as stream:
        wait_until(lambda: stream.error, awaited="the refusal")
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
