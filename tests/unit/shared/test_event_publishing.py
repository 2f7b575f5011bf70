"""Publishing events without any HTTP framework around it, to a Pub/Sub in memory."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any
from uuid import UUID

import orjson
import pytest

from shared import clients
from shared.auth import NO_CREDENTIAL
from shared.clients import pubsub
from shared.domain.events import Event
from shared.errors import InvalidRequest, PubSubUnavailable, Unauthorized
from shared.event_publishing import REPORT_FIELDS, prepare, publish_batch, publish_event
from shared.validation import MAX_ERRORS

VIEW = {"user_id": "u1", "product_id": 1, "event_type": "view"}
ACCOUNT = "acct_" + "1" * 32


class FakePubSub:
    """Keeps messages; refuses those of the users in ``refused``."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any], Mapping[str, str]]] = []
        self.refused: set[str] = set()

    def send(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> "Future[str]":
        future: Future[str] = Future()
        if attributes["user_id"] in self.refused:
            future.set_exception(TimeoutError())
        else:
            self.messages.append((topic, orjson.loads(data), attributes))
            future.set_result("message-id")
        return future

    def events_of(self, user_id: str) -> list[list[int]]:
        """Product ids of each message of a user."""
        return [
            [event["product_id"] for event in body["events"]]
            for _topic, body, _attributes in self.messages
            if body["user_id"] == user_id
        ]


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> FakePubSub:
    fake = FakePubSub()
    monkeypatch.setattr(pubsub, "send", fake.send)
    clients.reset()
    return fake


def test_an_event_is_published_under_the_id_that_is_returned(topic: FakePubSub) -> None:
    event_id = asyncio.run(publish_event(Event.model_validate(VIEW), NO_CREDENTIAL))
    ((name, body, attributes),) = topic.messages
    assert UUID(event_id).version == 7
    assert (name, body["user_id"], body["events"][0]["event_id"]) == ("user-events", "u1", event_id)
    assert attributes["schema"] == "user-events/1"


def test_an_event_of_an_account_needs_its_token(topic: FakePubSub) -> None:
    with pytest.raises(Unauthorized):
        asyncio.run(publish_event(Event.model_validate(VIEW | {"user_id": ACCOUNT}), NO_CREDENTIAL))
    assert topic.messages == []


def test_a_batch_is_one_message_per_user_and_each_other_event_has_its_problem(topic: FakePubSub) -> None:
    events = [
        VIEW,
        VIEW | {"user_id": "u2"},
        VIEW | {"product_id": 0},
        VIEW | {"product_id": 2},
        VIEW | {"user_id": ACCOUNT},
        "nonsense",
    ]
    result = asyncio.run(publish_batch(events, NO_CREDENTIAL))
    assert result.accepted == 3
    assert {index: type(error) for index, error in result.rejected.items()} == {
        2: InvalidRequest,
        4: Unauthorized,
        5: InvalidRequest,
    }
    assert topic.events_of("u1") == [[1, 2]]
    assert topic.events_of("u2") == [[1]]


def test_a_user_s_reports_share_messages_of_at_most_500_events(topic: FakePubSub) -> None:
    def order(order_id: str, lines: int) -> dict[str, Any]:
        products = [{"product_id": number} for number in range(1, lines + 1)]
        return {"user_id": "u1", "event_type": "order", "order_id": order_id, "lines": products}

    batch = [order("A", 300), VIEW | {"user_id": "u2"}, order("B", 200), VIEW, order("C", 499), order("D", 2)]
    result = asyncio.run(publish_batch(batch, NO_CREDENTIAL))
    assert (result.accepted, result.rejected) == (6, {})
    assert [len(events) for events in topic.events_of("u1")] == [500, 500, 2]
    assert topic.events_of("u2") == [[1]]


@pytest.mark.parametrize("event_type", ["order", "refund"])
def test_of_too_many_fields_the_message_names_an_unknown_one(topic: FakePubSub, event_type: str) -> None:
    order = {"user_id": "u1", "event_type": event_type, "order_id": "1", "lines": [{"product_id": 1}]}
    others = {f"field_{number}": number for number in range(MAX_ERRORS)}
    result = asyncio.run(publish_batch([order | others, VIEW], NO_CREDENTIAL))
    assert result.accepted == 1
    assert result.rejected[0].detail == f"An event has at most {len(REPORT_FIELDS)} fields; `field_0` is unknown."
    assert topic.events_of("u1") == [[1]]


def test_events_that_pubsub_refuses_are_rejected_alone(topic: FakePubSub) -> None:
    topic.refused = {"u1"}
    result = asyncio.run(publish_batch([VIEW, VIEW | {"user_id": "u2"}, VIEW], NO_CREDENTIAL))
    assert result.accepted == 1
    assert {index: type(error) for index, error in result.rejected.items()} == {
        0: PubSubUnavailable,
        2: PubSubUnavailable,
    }
    assert topic.events_of("u2") == [[1]]


def test_a_batch_that_pubsub_refuses_altogether_is_an_error(topic: FakePubSub) -> None:
    topic.refused = {"u1", "u2"}
    with pytest.raises(PubSubUnavailable):
        asyncio.run(publish_batch([VIEW, VIEW | {"user_id": "u2"}, "nonsense"], NO_CREDENTIAL))


def test_an_idempotency_key_gives_each_event_of_a_request_the_same_id_every_time() -> None:
    event, of_another_user = Event.model_validate(VIEW), Event.model_validate(VIEW | {"user_id": "u2"})
    ids = [
        prepare(event, "key", 0)[0],
        prepare(event, "key", 1)[0],
        prepare(event, "other", 0)[0],
        prepare(of_another_user, "key", 0)[0],
    ]
    assert len(set(ids)) == 4
    assert prepare(event, "key", 0)[0] == ids[0]
    # stored ids were derived like this: never change it
    assert ids[0] == "39f72034-2729-5335-9fe8-5f155db4c9c8"
    assert prepare(event)[0] != prepare(event)[0]
    assert prepare(Event.model_validate(VIEW | {"event_id": "mine"}), "key")[0] == "mine"
