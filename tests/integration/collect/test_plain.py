"""A storefront's own tracking call, under the usual names of its fields."""

from typing import Any

import httpx
import pytest

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


def test_an_event_without_a_user_is_refused(shop: httpx.Client) -> None:
    assert shop.post("/track", json={"event_type": "view", "product_id": 3}).status_code == 422
