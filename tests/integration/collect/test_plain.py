"""A storefront's own tracking call, under the usual names of its fields."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres
from tests.integration.collect.conftest import Store, metadata, stored


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"user_id": "ann", "event_type": "view", "product_id": 3}, ("view", "SKU3", 1)),
        ({"userId": "ann", "event": "add_to_cart", "productId": "SKU4", "quantity": 2}, ("add_to_cart", "SKU4", 1)),
        ({"user_id": "ann", "action": "purchase", "item_id": "SKU5", "quantity": 2}, ("purchase", "SKU5", 2)),
        ({"user_id": 42, "event_type": "search", "metadata": {"query": "lamp"}}, ("search", None, 1)),
        ({"user_id": "ann", "event_type": "newsletter", "properties": {"list": "a"}}, ("custom", None, 1)),
    ],
)
def test_an_event_needs_no_key(
    shop: httpx.Client, store: Store, body: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    answer = shop.post("/track", json=body)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    store(1)
    assert stored() == [(str(body.get("user_id", "ann")), *expected)]
    if expected[0] == "custom":
        assert metadata("custom") == [{"name": "newsletter", "properties": {"list": "a"}}]


def test_a_whole_number_is_a_product_however_it_is_written(shop: httpx.Client, store: Store) -> None:
    for user_id, product_id in {"ann": 3.0, "bob": 3}.items():
        body = {"user_id": user_id, "event_type": "view", "product_id": product_id}
        assert shop.post("/track", json=body).json()["accepted"] == 1
    store(2)
    assert stored() == [("ann", "view", "SKU3", 1), ("bob", "view", "SKU3", 1)]


@pytest.mark.parametrize("product_id", [3.5, True, False, [3], {"id": 3}])
@pytest.mark.parametrize("event", ["view", "purchase", "refund"])
def test_what_is_no_id_of_a_product_is_refused(shop: httpx.Client, event: str, product_id: object) -> None:
    facts = {"products": [{"product_id": product_id}], "order_id": "A-1"}
    answer = shop.post("/track", json={"user_id": "ann", "event_type": event, **facts})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert "product_id" in answer.text


def test_ids_of_two_products_are_no_event_of_either(shop: httpx.Client, store: Store) -> None:
    for user_id, product_id in (("ann", 1), ("bob", 2), ("cid", 999)):
        body = {"user_id": user_id, "event_type": "view", "product_id": product_id, "external_id": "SKU2"}
        assert shop.post("/track", json=body).json()["accepted"] == 1
    store(3)
    assert stored() == [("bob", "view", "SKU2", 1)]
    reasons = postgres.read("SELECT reason FROM rejected_events ORDER BY reason")
    assert [row[0] for row in reasons] == [f"'SKU2' is not the external_id of product {number}" for number in (1, 999)]


def test_an_event_without_a_user_is_refused(shop: httpx.Client) -> None:
    assert shop.post("/track", json={"event_type": "view", "product_id": 3}).status_code == 422


def test_segment_s_names_and_its_list_of_products_are_taken(shop: httpx.Client, store: Store) -> None:
    order = {
        "anonymousId": "ann",
        "messageId": "m-1",
        "event": "Order Completed",
        "properties": {
            "orderId": "A-1",
            "products": [{"product_id": "SKU1", "quantity": "2", "price": 5}, {"productId": 2}, {"sku": "SKU3"}],
        },
    }
    added = {"userId": "bob", "messageId": "m-2", "event": "Product Added", "properties": {"productId": "SKU4"}}
    for body in (order, added, order):
        answer = shop.post("/track", json=body)
        assert (answer.status_code, answer.json()["accepted"]) == (200, 1), answer.text
    store(2)
    assert stored("ann") == [("purchase", "SKU1", 2), ("purchase", "SKU2", 1), ("purchase", "SKU3", 1)]
    assert stored("bob") == [("add_to_cart", "SKU4", 1)]


def test_an_order_with_a_product_without_an_id_is_refused_as_a_whole(shop: httpx.Client) -> None:
    lines = [{"product_id": "SKU1"}, {"quantity": 2}]
    answer = shop.post("/track", json={"user_id": "ann", "event": "purchase", "order_id": "A-2", "products": lines})
    assert answer.status_code == 422
    assert "lines.1.external_id" in answer.text, answer.text


def test_aisle_s_number_and_the_shop_s_own_number_are_two_products(shop: httpx.Client, store: Store) -> None:
    postgres.write("UPDATE products SET external_id = '5' WHERE external_id = 'SKU2'")
    lines = [{"product_id": 5, "quantity": 2}, {"sku": "5", "quantity": 3}, {"product_id": "5", "quantity": 4}]
    order = {"user_id": "ann", "event": "purchase", "order_id": "A-3", "products": lines}
    refund = {"user_id": "ann", "event": "refund", "order_id": "A-3", "products": [{"product_id": 5, "quantity": 2}]}
    contradiction = {"user_id": "bob", "event": "view", "product_id": 5, "external_id": "5"}
    for body in (order, refund, contradiction):
        answer = shop.post("/track", json=body)
        assert (answer.status_code, answer.json()["accepted"]) == (200, 1), answer.text
    store(3)
    assert sorted(stored("ann")) == [
        ("purchase", "5", 3),
        ("purchase", "5", 4),
        ("purchase", "SKU5", 2),
        ("refund", "SKU5", 2),
    ]
    left = postgres.read("SELECT product_id, sum(quantity - returned)::int FROM purchase_lines GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in left] == [(2, 7), (5, 0)]
    assert stored("bob") == []
    (reason,) = postgres.read("SELECT reason FROM rejected_events")[0]
    assert "'5' is not the external_id of product 5" in reason
