"""Dead letters are published again once; what came back, and what no function can read, waits for a person."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from shared.clients import pubsub
from shared.messages import CATALOG_CHANGES, REPLAYED_AT, USER_EVENTS, catalog_changes, user_events
from shared.storage.events import dead_letters
from tests.integration.conftest import Serve
from tests.integration.deliveries import event
from tests.integration.people import as_admin

ADDED = {
    "CloudPubSubDeadLetterSourceSubscription": "update_preferences",
    "CloudPubSubDeadLetterSourceDeliveryCount": "100",
    "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-11-21T10:00:01.5Z",
}
Waiting = Callable[[], dict[str, dict[str, Any]]]


@pytest.fixture
def waiting(env: dict[str, str], serve: Serve) -> Iterator[Waiting]:
    """Returns the waiting letters by user or schema, as staff see them; the dead-letter subscriptions are empty."""
    from google.cloud import pubsub_v1

    with pubsub_v1.SubscriberClient() as subscriber:
        paths = [
            subscriber.subscription_path(env["GOOGLE_CLOUD_PROJECT"], f"{topic}-dead-letter")
            for topic in (USER_EVENTS, CATALOG_CHANGES)
        ]
        for path in paths:
            subscriber.create_subscription(name=path, topic=path.replace("/subscriptions/", "/topics/"))
        admin = as_admin(serve("admin"))

        def letters() -> dict[str, dict[str, Any]]:
            listed = admin.get("/admin/dead-letters").raise_for_status().json()["dead_letters"]
            return {letter["attributes"].get("user_id", letter["topic"]): letter for letter in listed}

        yield letters
        for path in paths:
            subscriber.delete_subscription(subscription=path)


def bury(topic: str, data: bytes, attributes: dict[str, str]) -> None:
    """Publish a message as Pub/Sub does when a subscription gives up."""
    pubsub.publish(f"{topic}-dead-letter", data, attributes | ADDED)


def run(serve: Serve) -> dict[str, Any]:
    answer: httpx.Response = serve("replay_dead_letters").post("/", json={})
    assert answer.status_code == 200, answer.text
    topics: dict[str, Any] = answer.json()["topics"]
    return topics


def test_each_dead_letter_is_replayed_once(waiting: Waiting, serve: Serve, messages: Any) -> None:
    take, take_changes = messages(USER_EVENTS), messages(CATALOG_CHANGES)
    data, attributes = user_events("ada", [event(1)])
    bury(USER_EVENTS, data, attributes)
    bury(CATALOG_CHANGES, *catalog_changes([7], "updated"))
    begun = datetime.now(UTC)
    assert run(serve) == {
        USER_EVENTS: {"replayed": 1, "left": 0},
        CATALOG_CHANGES: {"replayed": 1, "left": 0},
    }
    (message,) = take()
    assert message.data == data
    replayed_at = message.attributes[REPLAYED_AT]
    assert begun <= datetime.fromisoformat(replayed_at) <= datetime.now(UTC)
    assert dict(message.attributes) == attributes | {
        "published_at": "2026-11-21T10:00:01.5Z",
        REPLAYED_AT: replayed_at,
    }
    assert len(take_changes()) == 1
    assert waiting() == {}
    # its function fails again in every attempt; a letter that is new is not held up
    bury(USER_EVENTS, message.data, dict(message.attributes))
    bury(USER_EVENTS, *user_events("bob", [event(2)]))
    assert run(serve)[USER_EVENTS] == {"replayed": 1, "left": 1}
    assert [again.attributes["user_id"] for again in take()] == ["bob"]
    (letter,) = waiting().values()
    assert (letter["attributes"]["user_id"], letter["replayed_at"]) == ("ada", replayed_at)
    # the first publication still decides whose a merged guest's events are
    assert letter["attributes"]["published_at"] == "2026-11-21T10:00:01.5Z"


def test_the_first_publication_of_a_letter_is_kept(waiting: Waiting, serve: Serve, messages: Any) -> None:
    take = messages(USER_EVENTS)
    data, attributes = user_events("ada", [event(1)])
    # an outbox wrote it an hour before Pub/Sub had it
    bury(USER_EVENTS, data, attributes | {"published_at": "2026-11-21T09:00:00Z"})
    assert run(serve)[USER_EVENTS] == {"replayed": 1, "left": 0}
    (message,) = take()
    assert message.attributes["published_at"] == "2026-11-21T09:00:00Z"


def test_what_no_function_can_read_is_not_replayed(waiting: Waiting, serve: Serve, messages: Any) -> None:
    take = messages(USER_EVENTS)
    _data, attributes = user_events("ada", [event(1)])
    bury(USER_EVENTS, b"no json", attributes | {"user_id": "text"})
    bury(USER_EVENTS, b"[1]", attributes | {"user_id": "list"})
    bury(USER_EVENTS, b"{}", attributes | {"user_id": "schema", "schema": "user-events/9"})
    bury(USER_EVENTS, *user_events("good", [event(1, metadata={"note": "é"})]))
    assert run(serve)[USER_EVENTS] == {"replayed": 1, "left": 3}
    assert [message.attributes["user_id"] for message in take()] == ["good"]
    letters = waiting()
    assert {user: (letter["replayed_at"], letter["permanent_fault"]) for user, letter in letters.items()} == {
        "text": (None, "the data is not a JSON object"),
        "list": (None, "the data is not a JSON object"),
        "schema": (None, "the attribute schema is not user-events/1"),
    }


def test_a_run_looks_behind_the_letters_that_it_leaves(
    waiting: Waiting, serve: Serve, messages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "PULL_BATCH", 2)
    take = messages(USER_EVENTS)
    for number in range(5):
        data, attributes = user_events(f"old-{number}", [event(1)])
        bury(USER_EVENTS, data, attributes | {REPLAYED_AT: "2026-11-25T10:00:00+00:00"})
    bury(USER_EVENTS, *user_events("new", [event(1)]))
    assert run(serve)[USER_EVENTS] == {"replayed": 1, "left": 5}
    assert [message.attributes["user_id"] for message in take()] == ["new"]
    assert len(waiting()) == 5


def test_letters_stay_while_pubsub_does_not_take_them(
    waiting: Waiting, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(USER_EVENTS, *user_events("ada", [event(1)]))
    monkeypatch.setattr(dead_letters.pubsub, "topic_path", lambda topic: f"projects/aisle-local/topics/no-{topic}")
    answer = serve("replay_dead_letters").post("/", json={})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:aisle:problem:pubsub-unavailable")
    monkeypatch.undo()
    (letter,) = waiting().values()
    assert letter["replayed_at"] is None


def test_what_was_sent_before_pubsub_failed_is_not_sent_again(
    waiting: Waiting, serve: Serve, messages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = messages(USER_EVENTS)
    for user in ("ada", "bob", "cyd"):
        bury(USER_EVENTS, *user_events(user, [event(1)]))
    send = pubsub.send
    sent: list[Future[str]] = []

    def fail_after_one(topic: str, data: bytes, attributes: Any) -> "Future[str]":
        for future in sent:
            # a message that is stored closes the breaker
            future.result(60)
            pubsub.breaker.trip()
        sent.append(send(topic, data, attributes))
        return sent[-1]

    monkeypatch.setattr(pubsub, "send", fail_after_one)
    assert run(serve)[USER_EVENTS] == {"replayed": 1, "left": 2}
    monkeypatch.undo()
    pubsub.breaker.reset()
    assert len(waiting()) == 2
    assert run(serve)[USER_EVENTS] == {"replayed": 2, "left": 0}
    assert sorted(message.attributes["user_id"] for message in take()) == ["ada", "bob", "cyd"]
    assert waiting() == {}


def test_runs_at_the_same_time_share_the_letters(waiting: Waiting, serve: Serve, messages: Any) -> None:
    take = messages(USER_EVENTS)
    users = [f"user-{number:02}" for number in range(40)]
    for user in users:
        bury(USER_EVENTS, *user_events(user, [event(1)]))
    with ThreadPoolExecutor(3) as pool:
        ran = list(pool.map(lambda _number: dead_letters.replay_new(USER_EVENTS), range(3)))
    assert sum(replayed for replayed, _left in ran) == len(users)
    assert sorted(message.attributes["user_id"] for message in take(100)) == users
    assert waiting() == {}


def test_a_letter_whose_removal_fails_holds_up_no_other_topic(
    waiting: Waiting, env: dict[str, str], messages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = messages(USER_EVENTS)
    bury(USER_EVENTS, *user_events("ada", [event(1)]))
    path = dead_letters._path(USER_EVENTS)
    send = pubsub.send

    def send_and_lose_the_subscription(topic: str, data: bytes, attributes: Any) -> "Future[str]":
        pubsub.subscriber().delete_subscription(subscription=path)
        return send(topic, data, attributes)

    monkeypatch.setattr(pubsub, "send", send_and_lose_the_subscription)
    assert dead_letters.replay_new(USER_EVENTS) == (1, 0)
    monkeypatch.undo()
    assert [message.attributes["user_id"] for message in take()] == ["ada"]
    pubsub.subscriber().create_subscription(name=path, topic=path.replace("/subscriptions/", "/topics/"))
    assert waiting() == {}
