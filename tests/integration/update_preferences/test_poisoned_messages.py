"""Whatever a message holds: its good events are stored, what no retry can store is rejected, and it is acknowledged."""

import base64
from typing import Any

import httpx
import orjson
import pytest

from shared.clients import postgres
from shared.domain.json_values import MAX_DEPTH
from shared.http.bodies import MAX_DEPTH as MAX_LEVELS
from shared.messages import MAX_MESSAGE_ID_CHARACTERS
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event, push
from tests.integration.shop import add_products

ATTRIBUTES = {"schema": "user-events/1", "user_id": "u1", "event_types": "purchase", "has_purchase": "true"}
SUBSCRIBERS = ("update_preferences", "update_popularity")
# a place in a message's bytes for what no encoder writes
HOLE = b'"HOLE"'


@pytest.fixture(params=SUBSCRIBERS)
def client(request: pytest.FixtureRequest, env: dict[str, str], serve: Serve) -> httpx.Client:
    add_products()
    return serve(request.param)


@pytest.fixture
def preferences(env: dict[str, str], serve: Serve) -> httpx.Client:
    add_products()
    return serve("update_preferences")


def body(*events: Any, user_id: Any = "u1", **more: Any) -> bytes:
    return orjson.dumps({"user_id": user_id, "events": events} | more)


def rejections() -> list[tuple[str, int, Any, str]]:
    return [
        (row[0], row[1], row[2], row[3])
        for row in postgres.read("SELECT message_id, position, event, reason FROM rejected_events ORDER BY 1, 2")
    ]


def stored() -> list[tuple[str, int]]:
    sql = "SELECT u.external_id, e.product_id FROM events e JOIN users u ON u.id = e.user_id ORDER BY 1, 2"
    return [(row[0], row[1]) for row in postgres.read(sql)]


def counted() -> list[int]:
    return [row[0] for row in postgres.read("SELECT product_id FROM product_stats WHERE purchase_count > 0 ORDER BY 1")]


def applied(client: httpx.Client) -> list[int]:
    """Return the products of the purchases that took effect, whichever of the functions ``client`` calls."""
    return [product for _user, product in stored()] or counted()


def deep(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


POISON = {
    "an escaped NUL": rb'"x\u0000y"',
    "a raw NUL": b'"x\0y"',
    "a lone leading surrogate": rb'"\ud800"',
    "a lone trailing surrogate": rb'"a\udc00b"',
    "a byte that is not UTF-8": b'"\xff"',
    "an encoded surrogate": b'"\xed\xa0\x80"',
    "an overlong encoding": b'"\xc0\x80"',
    "not a number": b"NaN",
    "infinity": b"-Infinity",
    "a large integer": b"1" * 400,
    "levels beside the limit": deep(MAX_DEPTH),
    "levels that orjson reads and does not write": deep(254),
    "levels beside the interpreter's limit": deep(900),
    "levels beyond orjson's and the interpreter's limit": deep(1_100),
    "a hundred thousand levels": b"[" * 100_000 + b"]" * 100_000,
    "levels with brackets in texts": deep(1_100).replace(b"1", rb'"]}\"}"'),
}


def test_one_event_that_cannot_be_stored_spoils_no_other(client: httpx.Client) -> None:
    bought, rejected = [], []
    for number, (name, poison) in enumerate(POISON.items()):
        bad = event(3, "purchase", metadata={"note": "HOLE"})
        data = body(event(1, "purchase"), bad, event(2, "purchase"), user_id=f"u{number:02}").replace(HOLE, poison)
        for _ in range(2):
            assert push(client, data, ATTRIBUTES, message_id=name).status_code == 200, name
        bought += [(f"u{number:02}", 1), (f"u{number:02}", 2)]
        rejected.append((name, 1, f"u{number:02}", bad["event_id"]))
    kept = [(row[0], row[1], row[2]["user_id"], row[2]["event"]["event_id"]) for row in rejections()]
    assert kept == sorted(rejected)
    assert all("metadata" in row[3] for row in rejections())
    # the next message is not held up
    assert deliver(client, "u99", event(4, "purchase")).status_code == 200
    if client_is_popularity := not stored():
        counts = "SELECT product_id, purchase_count FROM product_stats WHERE purchase_count > 0 ORDER BY 1"
        assert [tuple(row) for row in postgres.read(counts)] == [(1, len(POISON)), (2, len(POISON)), (4, 1)]
    assert client_is_popularity or stored() == [*bought, ("u99", 4)]


def test_another_encoding_of_json_is_read(client: httpx.Client) -> None:
    for product, encoding in enumerate(("utf-8-sig", "utf-16", "utf-32-be"), 1):
        data = body(event(product, "purchase", metadata={"note": "é"})).decode().encode(encoding)
        assert push(client, data, ATTRIBUTES).status_code == 200
    assert applied(client) == [1, 2, 3]
    assert rejections() == []


def test_the_deepest_metadata_that_the_api_takes_is_stored(
    preferences: httpx.Client, serve: Serve, messages: Any
) -> None:
    take = messages("user-events")
    sent = {"user_id": "u1", "product_id": 1, "event_type": "view", "metadata": {"a": "HOLE"}}
    events = serve("events")
    json = {"Content-Type": "application/json"}
    # the event and its metadata are two levels themselves
    for depth, status in ((MAX_LEVELS - 2, 202), (MAX_LEVELS - 1, 422), (253, 422), (900, 422)):
        answer = events.post("/events", content=orjson.dumps(sent).replace(HOLE, deep(depth)), headers=json)
        assert answer.status_code == status, (depth, answer.text)
    (message,) = take()
    assert push(preferences, message.data, dict(message.attributes)).status_code == 200
    assert stored() == [("u1", 1)]


def test_a_user_id_that_cannot_be_stored_rejects_the_events(client: httpx.Client) -> None:
    bad = (
        rb'"a\u0000b"',
        b'"a\0b"',
        rb'"\ud800"',
        b'"\xff"',
        b"7",
        b"null",
        b'{"id":"u1"}',
        b'"' + b"u" * 300 + b'"',
        b'""',
    )
    for number, user_id in enumerate(bad):
        # an event names a good user, which must not hide that the message's is not
        events = [event(1, "purchase") | {"user_id": "u1"}, event(2, "purchase")]
        data = orjson.dumps({"user_id": "HOLE", "events": events}).replace(HOLE, user_id)
        assert push(client, data, ATTRIBUTES, message_id=f"m{number}").status_code == 200, user_id
    assert applied(client) == []
    assert [(row[0], row[1]) for row in rejections()] == [(f"m{n}", p) for n in range(len(bad)) for p in (0, 1)]
    assert all("user_id" in row[3] for row in rejections())


def test_message_id_and_attributes_that_cannot_be_stored_are_escaped(preferences: httpx.Client) -> None:
    long = "9" * 5000
    assert push(preferences, b"x\0\xff", ATTRIBUTES | {"note": "a\0b"}, message_id="m\0").status_code == 200
    assert push(preferences, b"[]", {"schema": "user-events/1", "\0": "\0"}, message_id=long).status_code == 200
    assert [(row[0], row[1]) for row in rejections()] == [("9" * MAX_MESSAGE_ID_CHARACTERS, -1), ("m\\0", -1)]
    assert rejections()[1][2] == {"data": "x\\0\\xff", "attributes": ATTRIBUTES | {"note": "a\\0b"}}


def test_attributes_and_clients_of_any_form_do_not_stop_a_message(client: httpx.Client) -> None:
    good = body(event(1, "purchase"), vouched=True)
    for attributes in ([], "text", 7):
        assert push(client, good, attributes, message_id=f"m-{attributes}").status_code == 200  # type: ignore[arg-type]  # of the wrong form on purpose
    assert {row[1] for row in rejections()} == {-1}
    bounded = body(event(2, "view"), event(2, "purchase"), vouched=False, client="c\0")
    assert push(client, bounded, ATTRIBUTES).status_code == 200
    assert 2 in applied(client)


def test_values_that_the_database_refuses_are_rejected_alone(preferences: httpx.Client) -> None:
    postgres.write("ALTER TABLE events ADD CONSTRAINT no_doom CHECK (session_id <> 'doom')")
    good = [event(product, session_id="fine") for product in (1, 2, 4)]
    bad = event(3, session_id="doom")
    message = (good[0], bad, *good[1:])
    for _ in range(2):
        assert deliver(preferences, "u1", *message, message_id="m").status_code == 200
    assert stored() == [("u1", 1), ("u1", 2), ("u1", 4)]
    ((message_id, position, content, reason),) = rejections()
    assert (message_id, position, content["event"]["event_id"]) == ("m", 1, bad["event_id"])
    assert "no_doom" in reason
    assert "23514" in reason
    likes = "SELECT key, round(score::numeric, 3) FROM user_preferences WHERE kind = 'tag' ORDER BY 1"
    assert [tuple(row) for row in postgres.read(likes)] == [("tag0", 1), ("tag1", 1), ("tag2", 1)]


def test_a_fault_of_the_server_rejects_nothing(preferences: httpx.Client) -> None:
    postgres.write("ALTER TABLE events RENAME TO events_elsewhere")
    assert deliver(preferences, "u1", event(1), message_id="m").status_code == 500
    postgres.write("ALTER TABLE events_elsewhere RENAME TO events")
    assert rejections() == []
    assert deliver(preferences, "u1", event(1), message_id="m").status_code == 200
    assert stored() == [("u1", 1)]


def test_a_body_that_is_no_message_is_kept_whatever_it_is(preferences: httpx.Client) -> None:
    headers = {
        "ce-id": "e\x01",
        "ce-specversion": "1.0",
        "ce-source": "s",
        "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
        "content-type": "application/json",
    }
    text = base64.b64encode(b"x").decode()
    odd = orjson.dumps({"message": [text], "note": "a\0b"})
    assert preferences.post("/", content=odd, headers=headers | {"ce-id": "e1"}).status_code == 200
    ((message_id, position, content, _reason),) = rejections()
    assert (message_id, position) == ("e1", -1)
    assert "\0" not in content["data"]
