"""The embedded server says what waits in each subscription."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud import pubsub_v1

from local.backlogs import Backlog, read_backlogs
from local.pubsub import PubSubServer

TOPIC = "projects/p/topics/events"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PubSubServer]:
    with PubSubServer(state_path=tmp_path / "state.db") as running:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", running.address)
        yield running


def test_what_is_not_acknowledged_waits_in_each_subscription_by_itself(server: PubSubServer) -> None:
    with pubsub_v1.SubscriberClient() as subscriber:
        publisher = pubsub_v1.PublisherClient()
        publisher.create_topic(name=TOPIC)
        first, second = (f"projects/p/subscriptions/{name}" for name in ("first", "second"))
        for name in (first, second):
            subscriber.create_subscription(name=name, topic=TOPIC, ack_deadline_seconds=60)
        assert read_backlogs(server.address) == [Backlog("first", 0, None), Backlog("second", 0, None)]
        for number in range(3):
            publisher.publish(TOPIC, str(number).encode()).result(timeout=30)
        received = subscriber.pull(subscription=first, max_messages=2, timeout=30).received_messages
        # what a consumer works on has not taken effect yet
        assert [(each.subscription, each.waiting) for each in read_backlogs(server.address)] == [
            ("first", 3),
            ("second", 3),
        ]
        subscriber.acknowledge(subscription=first, ack_ids=[each.ack_id for each in received])
        # an acknowledgement is done when its call is answered
        one, three = read_backlogs(server.address)
        assert (one.waiting, three.waiting) == (3 - len(received), 3)
        assert one.oldest_age_s is not None
        assert three.oldest_age_s is not None
        # the first messages are gone from one subscription alone
        assert 0 <= one.oldest_age_s <= three.oldest_age_s < 60
        publisher.stop()
        publisher.transport.close()


def test_where_no_server_answers_the_reason_is_given() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ConnectionError, match=f"127.0.0.1:{port} does not answer: UNAVAILABLE"):
        read_backlogs(f"127.0.0.1:{port}")
