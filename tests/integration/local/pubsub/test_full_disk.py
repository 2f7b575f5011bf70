"""While the disk takes nothing, publishes are refused; what was refused never arrives, and what was accepted does."""

import sys
import time
from collections import Counter

import pytest
from google.api_core import exceptions

from tests.integration.local.pubsub.client import Client, Endpoint, data, wait_until
from tests.integration.local.pubsub.conftest import Process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit of another process's files is Linux's")
NO_LIMIT = -1
# the state file has its schema by then, and a page is 4,096 bytes
FULL = 1


def refuse(client: Client, topic: str, *names: bytes) -> None:
    for name in names:
        with pytest.raises(exceptions.InternalServerError, match="cannot be written"):
            client.publish(topic, name)


def drain(client: Client, subscription: str) -> Counter[str]:
    received: Counter[str] = Counter()
    while batch := client.pull(subscription, 1000, wait_s=0.5):
        received.update(data(batch))
        client.acknowledge(subscription, batch)
    return received


def test_it_accepts_again_as_soon_as_the_disk_does(server: Process) -> None:
    with Client(server.address, "full") as client:
        topic = client.topic()
        subscription = client.subscription(topic)
        client.publish(topic, b"before")
        server.limit_files(FULL)
        refuse(client, topic, *(f"refused-{n}".encode() for n in range(20)))
        server.limit_files(NO_LIMIT)
        for n in range(20):
            client.publish(topic, f"after-{n}".encode())
        # a publisher that was refused sends again: that is one message, and not two
        client.publish(topic, b"refused-3")
        expected = Counter(["before", *(f"after-{n}" for n in range(20)), "refused-3"])
        assert drain(client, subscription) == expected
    server.kill()
    server.start()
    with Client(server.address, "full") as client:
        assert drain(client, subscription) == Counter()


def test_what_was_refused_does_not_arrive_after_a_restart(server: Process) -> None:
    with Client(server.address, "full") as client:
        topic = client.topic()
        subscription = client.subscription(topic)
        client.publish(topic, b"before")
        server.limit_files(FULL)
        refuse(client, topic, b"refused", b"refused too")
        server.kill()
    server.start()
    with Client(server.address, "full") as client:
        client.publish(topic, b"after")
        assert drain(client, subscription) == Counter(["before", "after"])


def test_what_happened_while_the_disk_was_full_is_stored_later(server: Process) -> None:
    with Client(server.address, "full") as client:
        topic = client.topic()
        subscription = client.subscription(topic)
        bystander = client.subscription(topic, "bystander")
        client.publish(topic, b"1", b"2", b"3")
        received = client.pull_many(subscription, 3)
        server.limit_files(FULL)
        client.acknowledge(subscription, received[:2])
        with pytest.raises(exceptions.InternalServerError):
            client.subscription(topic, "created")
        time.sleep(0.3)
        server.limit_files(NO_LIMIT)
        # without another publish: the broker itself writes what it kept
        time.sleep(2.5)
        server.kill()
    server.start()
    with Client(server.address, "full") as client:
        assert drain(client, subscription) == Counter(["3"])
        assert drain(client, bystander) == Counter(["1", "2", "3"])
        assert client.subscriber.get_subscription(subscription="projects/full/subscriptions/created").topic == topic


def test_a_dead_letter_is_not_lost_while_the_disk_is_full(server: Process) -> None:
    with Client(server.address, "full") as client, Endpoint() as endpoint:
        endpoint.status = 503
        dead = client.topic("dead")
        graveyard = client.subscription(dead, "graveyard")
        topic = client.topic()
        client.subscription(
            topic,
            push_config={"push_endpoint": endpoint.url},
            dead_letter_policy={"dead_letter_topic": dead, "max_delivery_attempts": 5},
            retry_policy={"minimum_backoff": {"nanos": 10_000_000}, "maximum_backoff": {"nanos": 50_000_000}},
        )
        client.publish(topic, b"doomed")
        server.limit_files(FULL)
        wait_until(lambda: len(endpoint.posts) >= 5, awaited="all attempts")
        time.sleep(0.3)
        server.limit_files(NO_LIMIT)
        assert data(client.pull_many(graveyard, 1)) == ["doomed"]
        time.sleep(2.5)
        server.kill()
        attempts = len(endpoint.posts)
        server.start()
        with Client(server.address, "full") as again:
            # not acknowledged: it comes again, and its function gets it no more
            assert data(again.pull_many(graveyard, 1)) == ["doomed"]
        time.sleep(0.3)
        assert len(endpoint.posts) == attempts
