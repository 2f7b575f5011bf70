"""The cart: adding, changing and removing items, and changes of price and stock since."""

from typing import Any

import httpx
import pytest

from shared.clients.postgres import write
from tests.integration.cart.conftest import Shopper, outbox_events, problem, set_stock, state

SELECT = "'; DROP TABLE cart_items; --"
SCRIPT = "<script>alert(1)</script>"


def test_a_new_shopper_s_cart_is_empty(ann: Shopper) -> None:
    answer = ann.ask("GET", "/cart")
    assert (answer.status_code, answer.json()) == (200, {"items": [], "total": 0, "item_count": 0})
    assert answer.headers["cache-control"] == "private, no-store"


def test_adding_again_adds_up(ann: Shopper) -> None:
    assert ann.add(2, 1).status_code == 201
    second = ann.add(2, 2)
    assert second.status_code == 200
    (item,) = second.json()["items"]
    assert (item["quantity"], item["price"], item["line_total"], item["changes"]) == (3, 2, 6, [])
    assert item["product"]["name"] == "Product 2"
    assert (second.json()["total"], second.json()["item_count"]) == (6, 3)
    assert second.json() == ann.cart()


def test_carts_are_their_shoppers_own(ann: Shopper, bob: Shopper) -> None:
    for product_id in (1, 2, 3):
        ann.add(product_id)
        bob.add(product_id, 2)
    assert (ann.in_cart(), bob.in_cart()) == ({1: 1, 2: 1, 3: 1}, {1: 2, 2: 2, 3: 2})
    ann.ask("PATCH", "/cart/items/1", json={"quantity": 3})
    ann.ask("DELETE", "/cart/items/2")
    assert (ann.in_cart(), bob.in_cart()) == ({1: 3, 3: 1}, {1: 2, 2: 2, 3: 2})
    ann.ask("DELETE", "/cart")
    assert (ann.in_cart(), bob.in_cart()) == ({}, {1: 2, 2: 2, 3: 2})


def test_every_change_is_an_event_with_its_quantity(ann: Shopper) -> None:
    ann.add(1, 2)
    ann.ask("PATCH", "/cart/items/1", json={"quantity": 5})
    ann.ask("PATCH", "/cart/items/1", json={"quantity": 4})
    ann.ask("PATCH", "/cart/items/1", json={"quantity": 4})
    ann.add(2)
    ann.ask("DELETE", "/cart/items/1")
    ann.ask("DELETE", "/cart/items/1")
    ann.ask("DELETE", "/cart")
    assert [(event["event_type"], event["product_id"], event["metadata"]["quantity"]) for event in outbox_events()] == [
        ("add_to_cart", 1, 2),
        ("add_to_cart", 1, 3),
        ("remove_from_cart", 1, 1),
        ("add_to_cart", 2, 1),
        ("remove_from_cart", 1, 4),
        ("remove_from_cart", 2, 1),
    ]
    assert ann.in_cart() == {}


def test_the_events_arrive_at_once(ann: Shopper, messages: Any) -> None:
    take = messages("user-events")
    ann.add(3)
    (message,) = take()
    assert dict(message.attributes)["event_types"] == "add_to_cart"
    assert dict(message.attributes)["user_id"] == "ann"


def test_a_line_lists_the_changes_since_it_was_added(ann: Shopper) -> None:
    for product_id in (1, 2, 3, 4, 5):
        ann.add(product_id, 2)
    write("UPDATE products SET price = price + 1 WHERE id = 1")
    write("UPDATE products SET price = price - 1, quantity = 1 WHERE id = 2")
    set_stock(3, 0)
    write("UPDATE products SET is_active = false WHERE id = 4")
    cart = ann.cart()
    assert [item["changes"] for item in cart["items"]] == [
        ["price_increased"],
        ["insufficient_stock", "price_decreased"],
        ["out_of_stock"],
        ["unavailable"],
        [],
    ]
    assert [(item["price_when_added"], item["price"]) for item in cart["items"][:2]] == [(1, 2), (2, 1)]
    assert cart["total"] == 2 * (2 + 1 + 3 + 4 + 5)
    # another quantity acknowledges nothing, and adding a product again its current price
    changed = ann.ask("PATCH", "/cart/items/1", json={"quantity": 3}).json()["items"][0]
    assert (changed["changes"], changed["price_when_added"]) == (["price_increased"], 1)
    assert ann.add(1).json()["items"][0]["changes"] == []


def test_more_than_the_stock_is_refused_with_the_products_name(ann: Shopper) -> None:
    ann.add(1, 3)
    before = state()
    for answer in (ann.add(1, 3), ann.ask("PATCH", "/cart/items/1", json={"quantity": 6})):
        assert problem(answer) == (409, "out-of-stock")
        assert answer.json()["lines"] == [
            {
                "product_id": 1,
                "external_id": "SKU1",
                "name": "Product 1",
                "requested": 6,
                "available": 5,
                "reason": "insufficient_stock",
            }
        ]
    assert state() == before


def test_an_inactive_or_unknown_product_cannot_be_added(ann: Shopper) -> None:
    write("UPDATE products SET is_active = false WHERE id = 2")
    before = state()
    assert problem(ann.add(2)) == (404, "product-not-found")
    assert problem(ann.add(99)) == (404, "product-not-found")
    assert problem(ann.add(2**53 - 1)) == (404, "product-not-found")
    assert problem(ann.ask("PATCH", "/cart/items/99", json={"quantity": 1})) == (404, "product-not-found")
    assert problem(ann.ask("PATCH", "/cart/items/1", json={"quantity": 1})) == (404, "not-in-cart")
    assert state() == before


@pytest.mark.parametrize("quantity", [0, -1, 10**9, 1000, 1.5, "2", True, None, [1], SELECT, SCRIPT])
def test_an_invalid_quantity_is_refused(ann: Shopper, quantity: Any) -> None:
    ann.add(1)
    before = state()
    for answer in (ann.add(1, quantity), ann.ask("PATCH", "/cart/items/1", json={"quantity": quantity})):
        assert problem(answer) == (422, "invalid-request")
        assert [error["field"] for error in answer.json()["errors"]] == ["quantity"]
    assert state() == before


@pytest.mark.parametrize("product_id", [0, -1, 2**63, 1.5, "1", True, None, SELECT, SCRIPT])
def test_an_invalid_product_id_is_refused(ann: Shopper, product_id: Any) -> None:
    answer = ann.add(product_id)
    assert problem(answer) == (422, "invalid-request")


def test_a_line_holds_999_and_no_more(ann: Shopper) -> None:
    set_stock(1, 2000)
    assert ann.add(1, 999).status_code == 201
    answer = ann.add(1)
    assert problem(answer) == (409, "cart-full")
    assert ann.in_cart() == {1: 999}


def test_the_201st_line_is_refused_and_more_of_the_others_is_not(ann: Shopper, bob: Shopper) -> None:
    write("""INSERT INTO products (id, external_id, name, price, quantity)
             SELECT n, 'M' || n, 'More ' || n, 1, 9 FROM generate_series(101, 301) AS n""")
    ann.add(101)
    write("""INSERT INTO cart_items (user_id, product_id, quantity, price_when_added)
             SELECT id, n, 1, 1 FROM users, generate_series(102, 300) AS n""")
    assert problem(ann.add(301)) == (409, "cart-full")
    # another shopper's is empty
    assert bob.add(301).status_code == 201
    assert ann.add(300).status_code == 200
    assert len(ann.cart()["items"]) == 200
    order = ann.check_out().json()
    assert (len(order["items"]), order["item_count"]) == (200, 201)


def test_an_id_of_sql_or_script_is_treated_as_an_id(client: httpx.Client) -> None:
    for user_id in (SELECT, SCRIPT, "a\tb", "%", "\\", "ä" * 255):
        shopper = Shopper(client, user_id)
        assert shopper.add(1).status_code == 201
        assert shopper.in_cart() == {1: 1}
    assert outbox_events()[0]["user_id"] == SELECT


def test_without_a_user_or_a_token_nothing_is_shown(client: httpx.Client) -> None:
    for method, path in (
        ("GET", "/cart"),
        ("POST", "/cart/items"),
        ("PATCH", "/cart/items/1"),
        ("DELETE", "/cart/items/1"),
        ("DELETE", "/cart"),
        ("POST", "/cart/checkout"),
        ("GET", "/orders"),
        ("GET", "/wishlist"),
        ("PUT", "/wishlist/1"),
        ("DELETE", "/wishlist/1"),
    ):
        body = {"POST": {"product_id": 1}, "PATCH": {"quantity": 1}}.get(method)
        content = {} if path.endswith("checkout") else body
        answer = client.request(method, path, json=content, headers={"Idempotency-Key": "k"})
        assert problem(answer) == (401, "unauthorized"), path
        answer = client.request(
            method, path, json=content, params={"user_id": "acct_1"}, headers={"Idempotency-Key": "k"}
        )
        assert problem(answer) == (401, "unauthorized"), path


def test_unknown_parameters_and_fields_are_refused(ann: Shopper) -> None:
    assert problem(ann.ask("GET", "/cart", params={"k": "1"})) == (422, "invalid-request")
    answer = ann.ask("POST", "/cart/items", json={"product_id": 1, "price": 0.01})
    assert problem(answer) == (422, "invalid-request")


def test_the_same_key_adds_once(ann: Shopper) -> None:
    for _ in range(2):
        answer = ann.ask("POST", "/cart/items", json={"product_id": 1, "quantity": 2}, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 201
    assert ann.in_cart() == {1: 2}
    assert len(outbox_events()) == 1


def test_shopping_does_not_restore_an_erased_user(client: httpx.Client) -> None:
    write("INSERT INTO erased_users (digest) VALUES (sha256('guest_gone'::bytea))")
    erased = Shopper(client, "guest_gone")
    assert erased.cart()["items"] == []
    for answer in (erased.add(1), erased.check_out(), erased.ask("PUT", "/wishlist/1"), erased.ask("DELETE", "/cart")):
        assert problem(answer) == (403, "forbidden")
    assert outbox_events() == []
