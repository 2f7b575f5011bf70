"""The states of an order: allowed changes, permissions and effects."""

from typing import Any

import httpx
import pytest

from shared.clients.postgres import read
from shared.payments import fake
from tests.integration.cart.conftest import Shopper, problem, state, stock
from tests.integration.people import ADMIN


def bought(ann: Shopper, quantity: int = 2) -> str:
    ann.add(1, quantity)
    order_id: str = ann.check_out().json()["id"]
    return order_id


def change_state(ann: Shopper, order_id: str, state: str, **more: str) -> httpx.Response:
    return ann.client.post(f"/orders/{order_id}/state", json={"state": state, **more}, headers=ADMIN)


def test_cancelling_returns_stock_and_money_once(ann: Shopper) -> None:
    order_id = bought(ann)
    assert stock(1) == 3
    first = ann.ask("POST", f"/orders/{order_id}/cancel")
    assert (first.status_code, first.json()["state"]) == (200, "cancelled")
    assert (stock(1), fake.ledger.charged[order_id]) == (5, 0)
    after = state()
    assert ann.ask("POST", f"/orders/{order_id}/cancel").json()["state"] == "cancelled"
    assert state() == after
    assert ann.ask("GET", f"/orders/{order_id}").json()["payment"]["state"] == "released"
    assert ann.in_cart() == {}


def test_support_ships_and_refunds_and_it_is_in_the_audit_log(ann: Shopper) -> None:
    order_id = bought(ann)
    assert change_state(ann, order_id, "shipped").json()["state"] == "shipped"
    assert problem(ann.ask("POST", f"/orders/{order_id}/cancel")) == (409, "order-state")
    refunded = change_state(ann, order_id, "refunded", reason="arrived broken").json()
    assert (refunded["state"], refunded["history"][-1]["reason"]) == ("refunded", "arrived broken")
    assert (stock(1), fake.ledger.charged[order_id]) == (3, 0)
    rows = read("SELECT actor, action, subject, before, after FROM audit_log ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("admin-token", "order.state", f"order:{order_id}", {"state": "paid"}, {"state": "shipped", "reason": None}),
        (
            "admin-token",
            "order.state",
            f"order:{order_id}",
            {"state": "shipped"},
            {"state": "refunded", "reason": "arrived broken"},
        ),
    ]


def test_support_sees_anybody_s_order(ann: Shopper) -> None:
    order_id = bought(ann)
    seen = ann.client.get(f"/orders/{order_id}/state", headers=ADMIN)
    assert (seen.status_code, seen.json()) == (200, ann.orders()[0])
    missing = ann.client.get("/orders/00000000-0000-7000-8000-000000000000/state", headers=ADMIN)
    assert problem(missing) == (404, "order-not-found")
    assert problem(ann.client.get(f"/orders/{order_id}/state")) == (401, "unauthorized")


def test_a_forbidden_transition_is_refused_and_names_the_allowed_ones(ann: Shopper) -> None:
    order_id = bought(ann)
    before = state()
    answer = change_state(ann, order_id, "refunded")
    assert problem(answer) == (409, "order-state")
    assert answer.json()["state"] == "paid"
    assert "cancelled or shipped" in answer.json()["detail"]
    assert state() == before
    change_state(ann, order_id, "cancelled")
    for after in ("shipped", "refunded"):
        assert problem(change_state(ann, order_id, after)) == (409, "order-state")


def test_a_repeated_change_of_state_changes_nothing(ann: Shopper) -> None:
    order_id = bought(ann)
    change_state(ann, order_id, "shipped")
    before = state()
    assert change_state(ann, order_id, "shipped").status_code == 200
    assert state() == before


@pytest.mark.parametrize("wrong", ["placed", "paid", "lost", "", None, "'; DROP TABLE orders; --"])
def test_staff_cannot_request_other_states(ann: Shopper, wrong: str | None) -> None:
    order_id = bought(ann)
    answer = ann.client.post(f"/orders/{order_id}/state", json={"state": wrong}, headers=ADMIN)
    assert problem(answer) == (422, "invalid-request")


def test_only_staff_may_change_the_state(ann: Shopper) -> None:
    order_id = bought(ann)
    before = state()
    assert problem(ann.ask("POST", f"/orders/{order_id}/state", json={"state": "shipped"}))[0] in (401, 422)
    path = f"/orders/{order_id}/state"
    assert problem(ann.client.post(path, json={"state": "shipped"})) == (401, "unauthorized")
    wrong = {"Authorization": "Bearer not-the-token-at-all"}
    assert problem(ann.client.post(path, json={"state": "shipped"}, headers=wrong)) == (403, "forbidden")
    assert state() == before


def test_orders_and_wishes_are_read_by_cursor_while_others_come(ann: Shopper, bob: Shopper) -> None:
    def page(path: str, name: str, after: str | None = None) -> tuple[list[Any], str | None]:
        parameters = {"page_size": 2} | ({} if after is None else {"after": after})
        answer = ann.ask("GET", path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()[name], answer.json()["next"]

    for product_id in (1, 2, 3):
        ann.add(product_id)
        assert ann.check_out().status_code == 201
        assert ann.ask("PUT", f"/wishlist/{product_id}").status_code == 201
    bob.add(4)
    assert bob.check_out().status_code == 201
    assert bob.ask("PUT", "/wishlist/4").status_code == 201
    # the second list has one more by then
    for path, name, total in (("/orders", "orders", 3), ("/wishlist", "items", 4)):
        assert ann.ask("GET", path).json()["total"] == total
        first, after = page(path, name)
        assert (len(first), after is None) == (2, False)
        ann.add(5)
        assert ann.check_out().status_code == 201
        assert ann.ask("PUT", f"/wishlist/{5 if path == '/orders' else 6}").status_code == 201
        rest, end = page(path, name, after)
        products = [entry["items"][0]["product_id"] if name == "orders" else entry["product"]["id"] for entry in rest]
        # newest first: what came meanwhile is before the first page
        assert products == ([1] if path == "/orders" else [2, 1])
        assert end is None
        assert ann.ask("GET", path, params={"after": "x"}).status_code == 422
        assert ann.ask("GET", path, params={"after": after, "page": 2}).status_code == 422
