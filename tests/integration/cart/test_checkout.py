"""Checkout: items, prices, and refusals."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.clients.postgres import read, write
from shared.domain.orders import purchase_event_id
from shared.payments import fake
from tests.integration.cart.conftest import Shopper, outbox_events, problem, set_stock, state, stock


def test_a_cart_becomes_a_paid_order_at_the_prices_of_now(ann: Shopper, bob: Shopper) -> None:
    for product_id in (3, 1):
        bob.add(product_id)
    ann.add(2, 2)
    ann.add(1)
    write("UPDATE products SET price = 1.25 WHERE id = 1")
    answer = ann.check_out()
    assert answer.status_code == 201
    order = answer.json()
    assert answer.headers["location"] == f"/orders/{order['id']}"
    assert order["state"] == "paid"
    assert [(item["product_id"], item["quantity"], item["price"], item["line_total"]) for item in order["items"]] == [
        (1, 1, 1.25, 1.25),
        (2, 2, 2, 4),
    ]
    assert (order["total"], order["item_count"]) == (5.25, 3)
    assert order["payment"] == {"provider": "fake", "state": "approved"}
    assert [step["state"] for step in order["history"]] == ["placed", "paid"]
    assert (stock(1), stock(2)) == (4, 3)
    assert ann.in_cart() == {}
    assert ann.ask("GET", f"/orders/{order['id']}").json() == order
    assert ann.orders() == [order]
    assert (bob.in_cart(), bob.orders()) == ({1: 1, 3: 1}, [])
    assert fake.ledger.charged == {order["id"]: 5.25}


def test_each_line_is_a_purchase_event_with_an_id_of_its_own(ann: Shopper) -> None:
    ann.add(1, 3)
    ann.add(2)
    order = ann.check_out().json()
    events = outbox_events(("purchase",))
    assert [(event["product_id"], event["metadata"]) for event in events] == [
        (1, {"quantity": 3, "order_id": order["id"]}),
        (2, {"quantity": 1, "order_id": order["id"]}),
    ]
    expected = [str(purchase_event_id(UUID(order["id"]), product_id)) for product_id in (1, 2)]
    assert [event["event_id"] for event in events] == expected == [item["event_id"] for item in order["items"]]
    assert {event["user_id"] for event in events} == {"ann"}


def test_every_line_that_is_short_is_named_and_nothing_changes(ann: Shopper) -> None:
    for product_id in (1, 2, 3, 4):
        ann.add(product_id, 3)
    set_stock(1, 2)
    set_stock(2, 0)
    write("UPDATE products SET is_active = false WHERE id = 3")
    before = state()
    answer = ann.check_out()
    assert problem(answer) == (409, "out-of-stock")
    assert [(line["product_id"], line["available"], line["reason"]) for line in answer.json()["lines"]] == [
        (1, 2, "insufficient_stock"),
        (2, 0, "out_of_stock"),
        (3, 0, "unavailable"),
    ]
    assert {line["requested"] for line in answer.json()["lines"]} == {3}
    assert state() == before


def test_an_expected_total_that_is_not_the_total_is_refused(ann: Shopper) -> None:
    ann.add(3, 2)
    before = state()
    answer = ann.check_out(expected_total=5.99)
    assert problem(answer) == (409, "price-changed")
    assert (answer.json()["expected_total"], answer.json()["total"]) == (5.99, 6)
    assert state() == before
    assert ann.check_out(expected_total=6.00).status_code == 201


def test_an_empty_cart_cannot_be_bought(ann: Shopper) -> None:
    assert problem(ann.check_out()) == (409, "cart-empty")


def test_a_key_is_required(ann: Shopper) -> None:
    ann.add(1)
    answer = ann.ask("POST", "/cart/checkout", json={})
    assert problem(answer) == (422, "invalid-request")
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert ann.orders() == []


def test_an_empty_body_is_a_checkout_with_the_defaults(ann: Shopper) -> None:
    ann.add(1)
    assert ann.ask("POST", "/cart/checkout", headers={"Idempotency-Key": "k"}).status_code == 201


def test_the_same_key_buys_once_and_gets_the_same_answer(ann: Shopper) -> None:
    ann.add(1)
    first = ann.check_out("k")
    ann.add(1)
    second = ann.check_out("k")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]
    assert len(ann.orders()) == 1
    assert stock(1) == 4


def test_the_same_key_with_another_body_is_refused(ann: Shopper) -> None:
    ann.add(1)
    ann.check_out("k")
    ann.add(1)
    before = state()
    assert problem(ann.check_out("k", expected_total=1)) == (422, "idempotency-key-reused")
    # also after its answer was forgotten
    write("DELETE FROM idempotency_keys")
    assert problem(ann.check_out("k", expected_total=1)) == (422, "idempotency-key-reused")
    assert state() == before


def test_a_key_is_its_shopper_s_own(ann: Shopper, bob: Shopper) -> None:
    ann.add(1)
    bob.add(2)
    first, second = ann.check_out("k").json(), bob.check_out("k").json()
    assert (first["items"][0]["product_id"], second["items"][0]["product_id"]) == (1, 2)


def test_a_free_order_is_not_charged(ann: Shopper) -> None:
    write("UPDATE products SET price = 0 WHERE id = 1")
    ann.add(1)
    assert ann.check_out(payment_token="decline").json()["state"] == "paid"
    assert not fake.ledger.charged


@pytest.mark.parametrize(
    "body",
    [
        {"expected_total": -1},
        {"expected_total": 1e13},
        {"expected_total": "'; --"},
        {"expected_total": 1e30},
        {"payment_token": ""},
        {"payment_token": "x" * 256},
        {"payment_token": "a\0"},
        {"total": 1},
        [1],
    ],
)
def test_an_invalid_body_is_refused(ann: Shopper, body: Any) -> None:
    ann.add(1)
    before = state()
    answer = ann.ask("POST", "/cart/checkout", json=body, headers={"Idempotency-Key": "k"})
    assert problem(answer) == (422, "invalid-request")
    assert state() == before


def test_sold_out_is_announced_and_so_is_in_stock_again(ann: Shopper) -> None:
    def announced() -> list[bytes]:
        rows = read("SELECT data FROM outbox WHERE topic = 'catalog-changes' ORDER BY id")
        return [bytes(row[0]) for row in rows]

    ann.add(1, 4)
    ann.check_out()
    assert announced() == []
    ann.add(1)
    ann.add(2)
    order = ann.check_out().json()
    assert announced() == [b'{"product_ids":[1],"change":"stock"}']
    ann.ask("POST", f"/orders/{order['id']}/cancel")
    assert announced() == [b'{"product_ids":[1],"change":"stock"}'] * 2
    assert (stock(1), stock(2)) == (1, 5)


def test_strangers_cannot_see_or_cancel_an_order(ann: Shopper, bob: Shopper) -> None:
    ann.add(1)
    order_id = ann.check_out().json()["id"]
    assert problem(bob.ask("GET", f"/orders/{order_id}")) == (404, "order-not-found")
    assert problem(bob.ask("POST", f"/orders/{order_id}/cancel")) == (404, "order-not-found")
    assert bob.orders() == []
    stranger = Shopper(ann.client, "nobody")
    assert problem(stranger.ask("POST", f"/orders/{order_id}/cancel")) == (404, "order-not-found")
    assert problem(ann.ask("GET", f"/orders/{UUID(int=7)}")) == (404, "order-not-found")
    for wrong in ("1", "'; DROP TABLE orders; --", "<script>"):
        assert ann.client.get(f"/orders/{wrong}", params={"user_id": "ann"}).status_code in (404, 422)
    assert ann.orders()[0]["state"] == "paid"


def test_orders_come_in_pages_newest_first(ann: Shopper) -> None:
    order_ids = []
    for _ in range(3):
        ann.add(1)
        order_ids.append(ann.check_out().json()["id"])
    page = ann.ask("GET", "/orders", params={"page": 1, "page_size": 2}).json()
    assert [order["id"] for order in page["orders"]] == order_ids[:0:-1]
    assert (page["total"], page["total_pages"], page["page"], page["page_size"]) == (3, 2, 1, 2)
    page = ann.ask("GET", "/orders", params={"page": 2, "page_size": 2}).json()
    assert [order["id"] for order in page["orders"]] == order_ids[:1]
    beyond = ann.ask("GET", "/orders", params={"page": 9}).json()
    assert (beyond["orders"], beyond["total"]) == ([], 3)


def test_the_wishlist_of_an_order_is_not_touched_by_it(ann: Shopper) -> None:
    assert ann.ask("PUT", "/wishlist/1").status_code == 201
    ann.add(1)
    ann.check_out()
    assert ann.ask("GET", "/wishlist").json()["total"] == 1


def test_a_database_that_is_away_is_a_problem_and_not_an_order(
    client: httpx.Client, ann: Shopper, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared import clients

    ann.add(1)
    with monkeypatch.context() as patch:
        patch.setenv("DATABASE_URL", "postgresql+pg8000://u:p@127.0.0.1:1/none")
        clients.reset()
        assert problem(ann.check_out("k")) == (503, "database-unavailable")
    clients.reset()
    assert ann.check_out("k").status_code == 201
    assert stock(1) == 4
