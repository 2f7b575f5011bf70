"""Ids that broken scripts send for everybody: no cart, order, merge or event is theirs."""

import httpx
import pytest

from shared.clients import postgres
from tests.integration.conftest import Messages, Serve
from tests.integration.deliveries import deliver, event
from tests.integration.people import PASSWORD, bearer
from tests.integration.shop import add_products
from tests.integration.tables import count_rows

IDS = ["undefined", "null", "NaN", "[object Object]", "None", "0"]


def invalid(answer: httpx.Response) -> bool:
    return answer.status_code == 422 and answer.json()["type"] == "urn:aisle:problem:invalid-request"


@pytest.mark.parametrize("user_id", IDS)
def test_carts_orders_wishlists_and_recommendations_refuse_them(
    env: dict[str, str], serve: Serve, user_id: str
) -> None:
    add_products(10)
    cart, recommendations = serve("cart"), serve("recommendations")
    params, key = {"user_id": user_id}, {"Idempotency-Key": "k"}
    refused = [
        cart.get("/cart", params=params),
        cart.post("/cart/items", params=params, json={"product_id": 1}),
        cart.post("/cart/checkout", params=params, headers=key),
        cart.get("/orders", params=params),
        cart.put("/wishlist/1", params=params),
        recommendations.get("/recommendations", params=params),
        recommendations.get("/recently-viewed", params=params),
    ]
    assert [answer.request.url.path for answer in refused if not invalid(answer)] == []
    assert "POST /auth/guest" in refused[1].json()["detail"]
    assert count_rows("users") == 0
    for own in ("nullable", "undefined1", "NaNcy"):
        assert cart.post("/cart/items", params={"user_id": own}, json={"product_id": 1}).status_code == 201


@pytest.mark.parametrize("user_id", IDS)
def test_nobody_registers_or_logs_in_with_them(env: dict[str, str], serve: Serve, user_id: str) -> None:
    accounts = serve("accounts")
    body = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}
    assert invalid(accounts.post("/auth/register", json=body | {"guest_user_id": user_id}))
    assert accounts.post("/auth/register", json=body).status_code == 201
    login = {"email": "ada@example.com", "password": PASSWORD, "guest_user_id": user_id}
    assert invalid(accounts.post("/auth/login", json=login, headers=bearer("x")))


def test_events_of_them_are_refused_and_a_message_of_an_earlier_release_counts_for_nobody(
    env: dict[str, str], serve: Serve, messages: Messages
) -> None:
    add_products(10)
    events = serve("events")
    take = messages("user-events")
    view = {"product_id": 1, "event_type": "view"}
    for user_id in IDS:
        assert invalid(events.post("/events", json=view | {"user_id": user_id}))
    batch = events.post("/events/batch", json={"events": [view | {"user_id": user_id} for user_id in (*IDS, "NaNcy")]})
    assert batch.json()["accepted"] == 1
    assert [rejection["index"] for rejection in batch.json()["rejected"]] == list(range(len(IDS)))
    (message,) = take()
    assert message.attributes["user_id"] == "NaNcy"
    for function in (serve("update_preferences"), serve("update_popularity")):
        for user_id in IDS:
            assert deliver(function, user_id, event(1, "purchase")).status_code == 200
        assert deliver(function, "NaNcy", event(1, "purchase")).status_code == 200
    assert postgres.read("SELECT external_id FROM users") == [("NaNcy",)]
    assert count_rows("events") == 1
    assert postgres.read("SELECT purchase_count FROM product_stats WHERE purchase_count > 0") == [(1,)]
    assert count_rows("rejected_events", "reason LIKE '%must be the id of a single user%'") == 2 * len(IDS)
