"""Google Cloud Retail's user events: the REST bodies of its client library, with a key instead of OAuth."""

import json
from typing import Any

import httpx

from shared.clients import postgres
from tests.integration.collect.conftest import Store, stored

CATALOG = "/v2/projects/p/locations/global/catalogs/default_catalog"


def event(kind: str, *ids: int, **more: Any) -> dict[str, Any]:
    details = [{"product": {"id": f"SKU{number}"}, "quantity": number} for number in ids]
    return (
        {"eventType": kind, "visitorId": "v-1", "eventTime": "2026-01-02T03:04:05.678Z"}
        | ({"productDetails": details} if details else {})
        | more
    )


def test_user_events_become_events_of_products_and_count_once(
    shop: httpx.Client, publishable: str, store: Store
) -> None:
    purchase = event("purchase-complete", 1, 2, purchaseTransaction={"id": "P-1", "revenue": 9, "currencyCode": "EUR"})
    events = [
        event("detail-page-view", 3, attributes={"a": {"text": ["b"]}}),
        event("add-to-cart", 4, userInfo={"userId": "ann"}),
        event("search", searchQuery="lamp"),
        event("home-page-view", uri="https://shop.example/"),
        purchase,
    ]
    for sent in [*events, purchase]:
        answer = shop.post(f"{CATALOG}/userEvents:write?key={publishable}", json=sent)
        assert (answer.status_code, answer.json()) == (200, sent)
    store(6)
    assert stored("v-1") == [
        ("custom", None, 1),
        ("purchase", "SKU1", 1),
        ("purchase", "SKU2", 2),
        ("search", None, 1),
        ("view", "SKU3", 1),
    ]
    assert stored("ann") == [("add_to_cart", "SKU4", 1)]


def test_an_import_is_an_operation_that_is_done_and_names_what_failed(
    shop: httpx.Client, publishable: str, store: Store
) -> None:
    events = [event("detail-page-view", 1), event("detail-page-view", 2) | {"visitorId": "null"}]
    body = {"inputConfig": {"userEventInlineSource": {"userEvents": events}}}
    answer = shop.post(f"{CATALOG}/userEvents:import?key={publishable}", json=body).json()
    assert answer["done"] is True
    assert (answer["metadata"]["successCount"], answer["metadata"]["failureCount"]) == ("1", "1")
    (sample,) = answer["response"]["errorSamples"]
    assert sample["message"].startswith("userEvents[1]: user_id:")
    store(1)
    assert stored() == [("v-1", "view", "SKU1", 1)]
    refused = shop.post(f"{CATALOG}/userEvents:import?key={publishable}", json={"inputConfig": {"gcsSource": {}}})
    assert refused.status_code == 422


def test_a_pixel_sends_the_event_in_the_url(shop: httpx.Client, publishable: str, store: Store) -> None:
    parameters = {"key": publishable, "userEvent": json.dumps(event("detail-page-view", 1)), "ets": "1"}
    assert shop.get(f"{CATALOG}/userEvents:collect", params=parameters).status_code == 200
    assert shop.get(f"{CATALOG}/userEvents:collect", params=parameters | {"userEvent": "{"}).status_code == 400
    store(1)
    assert stored() == [("v-1", "view", "SKU1", 1)]


def test_a_key_is_needed(shop: httpx.Client) -> None:
    assert shop.post(f"{CATALOG}/userEvents:write", json=event("detail-page-view", 1)).status_code == 401
    assert shop.post(f"{CATALOG}/userEvents:write?key=no", json=event("detail-page-view", 1)).status_code == 401
    assert postgres.read("SELECT count(*) FROM events")[0][0] == 0
