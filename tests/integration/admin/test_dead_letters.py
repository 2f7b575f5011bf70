"""A message that no function accepted waits as a dead letter until an administrator publishes it again."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from shared.manifest import manifest
from shared.messages import CATALOG_CHANGES, USER_EVENTS, user_events
from shared.storage.events import dead_letters
from tests.integration.conftest import Running, Serve
from tests.integration.people import as_admin

LETTER = f"{USER_EVENTS}-dead-letter"
ADDED = {
    "CloudPubSubDeadLetterSourceSubscription": "update_preferences",
    "CloudPubSubDeadLetterSourceDeliveryCount": "5",
    "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-11-21T10:00:01.5Z",
}


@pytest.fixture
def client(services: Running, env: dict[str, str], serve: Serve) -> Iterator[httpx.Client]:
    """An administrator's client, with empty dead-letter subscriptions as Terraform creates them."""
    from google.cloud import pubsub_v1

    project = env["GOOGLE_CLOUD_PROJECT"]
    with pubsub_v1.SubscriberClient() as subscriber:
        paths = [
            subscriber.subscription_path(project, f"{topic}-dead-letter") for topic in (USER_EVENTS, CATALOG_CHANGES)
        ]
        for path in paths:
            subscriber.create_subscription(name=path, topic=path.replace("/subscriptions/", "/topics/"))
        yield as_admin(serve("admin"))
        for path in paths:
            subscriber.delete_subscription(subscription=path)


def bury(user: str) -> tuple[str, bytes]:
    """Publish a message as Pub/Sub does when a subscription gives up; return its id and data."""
    from shared.clients import pubsub

    event = {"event_id": f"e-{user}", "product_id": 1, "event_type": "view", "timestamp": "2026-11-21T10:00:00+00:00"}
    data, attributes = user_events(user, [event])
    return pubsub.publish(LETTER, data, attributes | ADDED), data


def waiting(client: httpx.Client, expected: int) -> list[dict[str, Any]]:
    """Return the waiting letters, as soon as there are ``expected`` or after 30 seconds."""
    deadline = time.monotonic() + 30
    letters: list[dict[str, Any]] = []
    while len(letters) != expected and time.monotonic() < deadline:
        letters = client.get("/admin/dead-letters").raise_for_status().json()["dead_letters"]
    return letters


def test_the_topics_are_asked_at_once(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    all_topics = threading.Barrier(len(manifest().topics), timeout=10)
    pull = dead_letters._pull

    def pull_beside_the_others(topic: str, limit: int) -> list[Any]:
        all_topics.wait()
        return pull(topic, limit)

    monkeypatch.setattr(dead_letters, "_pull", pull_beside_the_others)
    bury("ada")
    assert [letter["topic"] for letter in waiting(client, 1)] == [USER_EVENTS]


def test_dead_letters_are_shown_and_stay(client: httpx.Client) -> None:
    message_id, data = bury("ada")
    for _ in range(2):
        (letter,) = waiting(client, 1)
        assert letter["message_id"] == message_id
        assert letter["data"] == data.decode()
        assert (letter["subscription"], letter["attempts"]) == ("update_preferences", 5)
        assert (letter["replayed_at"], letter["permanent_fault"]) == (None, None)
        assert letter["attributes"]["user_id"] == "ada"
        assert not [name for name in letter["attributes"] if name.startswith(dead_letters.ADDED_PREFIX)]


def test_a_replay_publishes_dead_letters_unchanged(client: httpx.Client, messages: Callable) -> None:
    take = messages(USER_EVENTS)
    _id, data = bury("ada")
    waiting(client, 1)
    answer = client.post("/admin/dead-letters/replay", json={"topic": USER_EVENTS})
    assert len(answer.json()["replayed"]) == 1
    (message,) = take()
    assert message.data == data
    # by its first publication a guest's event still finds the account that the guest became meanwhile
    published = {"published_at": "2026-11-21T10:00:01.5Z", "replayed_at": message.attributes["replayed_at"]}
    assert dict(message.attributes) == user_events("ada", [{"event_type": "view"}])[1] | published
    assert waiting(client, 0) == []
    entry = client.get("/admin/audit-log").json()["entries"][0]
    assert (entry["action"], entry["after"]["count"]) == ("dead-letters.replay", 1)


def test_only_those_named_are_replayed(client: httpx.Client, messages: Callable) -> None:
    take = messages(USER_EVENTS)
    replayed, _ = bury("ada")
    left_behind, _ = bury("bob")
    waiting(client, 2)
    answer = client.post("/admin/dead-letters/replay", json={"topic": USER_EVENTS, "message_ids": [replayed]})
    assert answer.json() == {"topic": USER_EVENTS, "replayed": [replayed], "left": 1}
    assert [message.attributes["user_id"] for message in take()] == ["ada"]
    assert [letter["message_id"] for letter in waiting(client, 1)] == [left_behind]


def test_no_more_are_shown_or_replayed_than_the_request_says(client: httpx.Client) -> None:
    for user in ("ada", "bob", "eve"):
        bury(user)
    waiting(client, 3)
    listed = client.get("/admin/dead-letters", params={"limit": 2}).json()["dead_letters"]
    assert len(listed) == 2
    waiting(client, 3)
    # of another topic there are none
    assert client.get("/admin/dead-letters", params={"topic": "catalog-changes"}).json() == {"dead_letters": []}
    answer = client.post("/admin/dead-letters/replay", json={"topic": USER_EVENTS, "limit": 2})
    assert len(answer.json()["replayed"]) == 2
    assert len(waiting(client, 1)) == 1


def test_a_dead_letter_that_cannot_be_published_stays(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    bury("ada")
    waiting(client, 1)
    monkeypatch.setattr(dead_letters.pubsub, "topic_path", lambda topic: f"projects/aisle-local/topics/no-{topic}")
    assert client.post("/admin/dead-letters/replay", json={"topic": USER_EVENTS}).status_code == 503
    monkeypatch.undo()
    assert len(waiting(client, 1)) == 1


def test_an_unknown_topic_is_refused(client: httpx.Client) -> None:
    answer = client.post("/admin/dead-letters/replay", json={"topic": "gossip"})
    assert answer.status_code == 422
    assert "user-events" in answer.text


def test_without_dead_letters_a_replay_does_nothing(client: httpx.Client) -> None:
    assert client.post("/admin/dead-letters/replay", json={"topic": CATALOG_CHANGES}).json()["replayed"] == []
