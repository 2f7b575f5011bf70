"""GA4's Measurement Protocol: its events, and its validation server."""

import time
from typing import Any

import httpx
import pytest

from tests.integration.collect.conftest import Store, metadata, stored

BODY = {"client_id": "123.456"}


def event(name: str, *ids: int, **parameters: Any) -> dict[str, Any]:
    items = [{"item_id": f"SKU{number}", "item_name": "Lamp", "quantity": number, "price": 2.5} for number in ids]
    return {"name": name, "params": parameters | ({"items": items} if items else {})}


def send(shop: httpx.Client, key: str, *events: Any, path: str = "/mp/collect", **fields: Any) -> httpx.Response:
    parameters = {"measurement_id": "G-1", "api_secret": key}
    return shop.post(path, params=parameters, json=BODY | fields | {"events": list(events)})


def test_events_and_items_become_events_of_products(shop: httpx.Client, publishable: str, store: Store) -> None:
    events = [
        event("view_item", 1, session_id=77),
        event("add_to_cart", 2, 3),
        event("search", search_term="lamp"),
        event("purchase", 4, 5, transaction_id="T-1", currency="EUR", value=20.5),
        event("refund", 5, transaction_id="T-1"),
        event("level_up", level=3),
    ]
    answer = send(shop, publishable, *events)
    assert (answer.status_code, answer.content) == (204, b"")
    assert send(shop, publishable, event("view_item", 1), user_id="ann").status_code == 204
    store(2)
    assert stored("123.456") == [
        ("add_to_cart", "SKU2", 1),
        ("add_to_cart", "SKU3", 1),
        ("custom", None, 1),
        ("purchase", "SKU4", 4),
        ("purchase", "SKU5", 5),
        ("refund", "SKU5", 5),
        ("search", None, 1),
        ("view", "SKU1", 1),
    ]
    assert stored("ann") == [("view", "SKU1", 1)]
    assert metadata("custom") == [{"name": "level_up", "properties": {"level": 3}}]


def test_a_request_with_a_time_counts_once(shop: httpx.Client, publishable: str, store: Store) -> None:
    micros = time.time_ns() // 1000
    for _ in range(2):
        assert send(shop, publishable, event("view_item", 1), timestamp_micros=micros).status_code == 204
    assert send(shop, publishable, event("view_item", 1), timestamp_micros=micros + 1).status_code == 204
    store(3)
    assert stored() == [("123.456", "view", "SKU1", 1)] * 2


def test_a_quantity_may_be_text_and_what_is_none_is_refused(shop: httpx.Client, publishable: str, store: Store) -> None:
    good, bad = event("purchase", 1, transaction_id="T-1"), event("purchase", 1, transaction_id="T-2")
    good["params"]["items"][0]["quantity"] = "3"
    bad["params"]["items"][0]["quantity"] = "many"
    answer = send(shop, publishable, good, bad)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert [rejection["index"] for rejection in answer.json()["rejected"]] == [1]
    store(1)
    assert stored() == [("123.456", "purchase", "SKU1", 3)]


@pytest.mark.parametrize(
    ("fields", "path", "code"),
    [
        ({"events": []}, "events", "VALUE_REQUIRED"),
        ({"client_id": ""}, "client_id", "VALUE_REQUIRED"),
        ({"events": [{"name": "1st"}]}, "events[0].name", "NAME_INVALID"),
        ({"events": [{"name": "view_item"}] * 26}, "events", "EXCEEDED_MAX_ENTITIES"),
    ],
)
def test_the_validation_server_names_the_fault_and_records_nothing(
    shop: httpx.Client, publishable: str, fields: dict[str, Any], path: str, code: str
) -> None:
    body = BODY | {"events": [event("view_item", 1)]}
    url = f"/debug/mp/collect?measurement_id=G-1&api_secret={publishable}"
    assert shop.post(url, json=body).json() == {"validationMessages": []}
    (message,) = shop.post(url, json=body | fields).json()["validationMessages"]
    assert (message["fieldPath"], message["validationCode"]) == (path, code)


def test_the_api_secret_is_a_publishable_key(shop: httpx.Client, publishable: str, secret: str) -> None:
    assert send(shop, "wrong", event("view_item", 1)).status_code == 401
    assert send(shop, secret, event("view_item", 1)).status_code == 403
    assert (
        shop.post("/mp/collect?measurement_id=G-1", json=BODY | {"events": [event("view_item", 1)]}).status_code == 401
    )
    assert send(shop, publishable, event("view_item", 1)).status_code == 204
