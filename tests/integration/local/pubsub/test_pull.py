"""Pull: waiting, limits, and each message once."""

import threading
import time

import pytest
from google.api_core import exceptions

from tests.integration.local.pubsub.client import Client, data


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
