"""What PostgreSQL cannot hold is kept with escapes, and the other events of its message take effect."""

from typing import Any

import httpx
import orjson
import pytest

from shared.clients import postgres
from shared.storage.events import rejected
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, deliver_catalog_change, event, push
from tests.integration.shop import add_products
from tests.integration.tables import count_rows

SUBSCRIBERS = ("update_preferences", "update_popularity")


@pytest.fixture(params=SUBSCRIBERS)
def client(request: pytest.FixtureRequest, env: dict[str, str], serve: Serve) -> httpx.Client:
    add_products()
    return serve(request.param)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def attributes(user_id: str) -> dict[str, str]:
    """Return the attributes of a message, as any publisher sets them."""
    return {"schema": "user-events/1", "user_id": user_id, "event_types": "purchase", "has_purchase": "true"}


def kept() -> list[tuple[int, Any, str]]:
    """Return position, content and reason of what is rejected, oldest first."""
    rows, _total = rejected.page(50, 0)
    return [(row.position, row.event, row.reason) for row in reversed(rows)]


def bought() -> int:
    """Return how many purchases either subscriber recorded."""
    return count_rows("events", "event_type = 'purchase'") + count_rows("counted_purchases")


@pytest.mark.parametrize(
    ("metadata", "as_kept"),
    [
        ({"note": "x\0y"}, {"note": "x\\0y"}),
        ({"n\0te": 1}, {"n\\0te": 1}),
        ({"note": nested(70)}, None),
    ],
)
def test_an_event_that_jsonb_cannot_hold_is_rejected_alone(client: httpx.Client, metadata: Any, as_kept: Any) -> None:
    good = [event(1, "purchase"), event(2, "purchase", metadata={"a": 1})]
    answer = deliver(client, "ann", good[0], event(3, "purchase", metadata=metadata), good[1], message_id="m1")
    assert answer.status_code == 200, answer.text
    assert bought() == 2
    ((position, content, _reason),) = kept()
    assert position == 1
    assert content["user_id"] == "ann"
    assert as_kept is None or content["event"]["metadata"] == as_kept
    # the same delivery again changes nothing
    assert deliver(client, "ann", good[0], event(3, "purchase", metadata=metadata), message_id="m1").status_code == 200
    assert (bought(), len(kept())) == (2, 1)


def test_a_lone_surrogate_costs_its_own_event_only(client: httpx.Client) -> None:
    body = orjson.dumps({"user_id": "ann", "events": [event(1, "purchase"), event(2, "purchase", session_id="LONE")]})
    answer = push(client, body.replace(b"LONE", b"\\ud800"), attributes("ann"), message_id="m1")
    assert answer.status_code == 200, answer.text
    assert bought() == 1
    ((position, content, _reason),) = kept()
    assert (position, content["event"]["session_id"]) == (1, "\\ud800")


@pytest.mark.parametrize("user_id", ["a\0b", "a\x07b"])
def test_a_user_id_that_is_no_text_rejects_the_message_s_events(client: httpx.Client, user_id: str) -> None:
    own = event(1, "purchase") | {"user_id": "another"}
    assert deliver(client, user_id, event(1, "purchase"), own, message_id="m1").status_code == 200
    assert [content["user_id"] for _position, content, _reason in kept()] == [user_id.replace("\0", "\\0")] * 2
    assert bought() == 0


def test_attributes_and_ids_of_a_message_may_be_anything(client: httpx.Client) -> None:
    sent = attributes("ann") | {"not\0e": "x\0"}
    answer = push(client, b'{"events": "\\u0000"}', sent, messageId="m\0" + "x" * 5_000)
    assert answer.status_code == 200, answer.text
    ((position, content, reason),) = kept()
    assert position == rejected.MESSAGE
    assert content["attributes"]["not\\0e"] == "x\\0"
    assert "events must be a list" in reason


def test_the_origin_of_a_message_may_be_anything(client: httpx.Client) -> None:
    view, purchase = event(1, "view"), event(1, "purchase")
    body = orjson.dumps({"user_id": "ann", "events": [view, purchase], "vouched": False, "client": "c\0"})
    assert push(client, body, attributes("ann")).status_code == 200
    assert bought() == 1


def test_a_catalog_change_that_is_no_text_is_kept(env: dict[str, str], serve: Serve) -> None:
    answer = deliver_catalog_change(serve("refresh_catalog"), {"product_ids": ["\0"]}, attributes={"schema": "\0"})
    assert answer.status_code == 200, answer.text
    assert [content["attributes"] for _position, content, _reason in kept()] == [{"schema": "\\0"}]
    assert postgres.read("SELECT message_id FROM rejected_events")[0][0] == "m1"
