"""Seek: back to acknowledged messages, and forward past the backlog."""

import time

import pytest
from google.api_core import exceptions
from google.protobuf.timestamp_pb2 import Timestamp

from tests.integration.local.pubsub.client import Client, data


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
