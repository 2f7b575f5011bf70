"""Segment's tracking API: its real libraries with only their host changed, and its calls."""

import base64
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from tests.integration.collect.conftest import Store, make_key, metadata, stored
from tests.integration.people import ADMIN

PACKAGES = Path(__file__).parents[2] / "e2e" / "segment" / "node_modules"


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


def track(event: str, user: str = "ann", **properties: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, "userId": user, "messageId": f"{user} {event}", "properties": properties}


def products(*ids: int) -> list[dict[str, Any]]:
    return [{"product_id": f"SKU{number}", "quantity": number, "price": 1.5} for number in ids]


def test_the_python_library_works_with_only_its_host_changed(
    shop: httpx.Client, publishable: str, store: Store
) -> None:
    analytics = pytest.importorskip("segment.analytics", reason="segment-analytics-python is not installed")
    errors: list[Any] = []
    client = analytics.Client(
        publishable,
        host=str(shop.base_url).rstrip("/"),
        on_error=lambda error, _items: errors.append(error),
        max_retries=1,
    )
    client.track("ann", "Product Viewed", {"product_id": "SKU3"})
    client.track("ann", "Order Completed", {"order_id": "A-1", "products": products(1, 2)})
    client.track("ann", "Signed Up", {"plan": "gold"})
    client.page("ann", None, "Home")
    client.identify("ann", {"email": "ann@example.com"})
    client.flush()
    client.shutdown()
    assert errors == []
    store(1)
    assert [row for row in stored("ann") if row[0] != "custom"] == [
        ("purchase", "SKU1", 1),
        ("purchase", "SKU2", 2),
        ("view", "SKU3", 1),
    ]
    assert [facts["name"] for facts in metadata("custom")] == ["Signed Up", "identify", "page"]
    assert "ann@example.com" not in str(postgres.read("SELECT metadata FROM events"))


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
@pytest.mark.skipif(not PACKAGES.is_dir(), reason="npm ci in tests/e2e/segment installs Segment's library")
def test_the_node_library_works_with_only_its_host_changed(shop: httpx.Client, publishable: str, store: Store) -> None:
    script = """
        const { Analytics } = require('@segment/analytics-node')
        const [host, writeKey] = process.argv.slice(1)
        const analytics = new Analytics({ host, writeKey, maxRetries: 0 })
        analytics.on('error', (error) => { console.error(error.code, error.reason); process.exitCode = 1 })
        analytics.track({ anonymousId: 'v-1', event: 'Product Added', properties: { product_id: 'SKU4', quantity: 2 } })
        analytics.track({ userId: 'ann', event: 'Order Refunded', properties: { order_id: 'A-1' } })
        analytics.track({ userId: 'ann', event: 'Order Completed',
            properties: { order_id: 'A-1', products: [{ product_id: 'SKU1', quantity: 1 }] } })
        analytics.alias({ userId: 'ann', previousId: 'v-1' })
        analytics.closeAndFlush().then(() => {})
    """
    command = ["node", "-e", script, str(shop.base_url).rstrip("/"), publishable]
    run = subprocess.run(command, cwd=PACKAGES.parent, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    store(2)
    assert stored("v-1") == [("add_to_cart", "SKU4", 1)]
    assert [row for row in stored("ann") if row[0] != "custom"] == [("purchase", "SKU1", 1), ("refund", None, 1)]
    # given back before it came
    assert postgres.read("SELECT count(*) FROM user_purchases")[0][0] == 0


def test_ecommerce_names_and_lists_of_products_become_events_of_products(
    shop: httpx.Client, publishable: str, store: Store
) -> None:
    calls = [
        track("Product Viewed", product_id="SKU1"),
        track("Product Added", sku="SKU2", quantity="2"),
        track("Product Removed", product_id="SKU2", quantity=1),
        track("Product Added to Wishlist", product_id="SKU3"),
        track("Products Searched", query="lamp"),
        track("Order Completed", order_id="A-1", products=products(4, 5)),
        track("Order Refunded", order_id="A-1", products=products(4)),
        track("Product Viewed", "bob", product_id="SKU1"),
    ]
    answer = shop.post("/v1/batch", json={"batch": calls, "writeKey": publishable})
    assert (answer.status_code, answer.json()) == (200, {"success": True, "accepted": 8, "rejected": []})
    # the same batch again, as a library sends it that got no answer
    assert shop.post("/v1/b", json={"batch": calls, "writeKey": publishable}).status_code == 200
    store(4)
    assert stored("ann") == [
        ("add_to_cart", "SKU2", 1),
        ("purchase", "SKU4", 4),
        ("purchase", "SKU5", 5),
        ("refund", "SKU4", 4),
        ("remove_from_cart", "SKU2", 1),
        ("search", None, 1),
        ("view", "SKU1", 1),
        ("wishlist", "SKU3", 1),
    ]
    assert stored("bob") == [("view", "SKU1", 1)]
    bought = postgres.read("SELECT p.external_id FROM user_purchases JOIN products p ON p.id = product_id")
    assert [row[0] for row in bought] == ["SKU5"]
    assert metadata("add_to_cart") == [{"quantity": 2}]
    assert metadata("search") == [{"query": "lamp"}]


@pytest.mark.parametrize("path", ["/v1/track", "/v1/t"])
@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "text/plain;charset=UTF-8"])
def test_a_browser_sends_single_calls_as_json_or_as_a_beacon(
    shop: httpx.Client, publishable: str, store: Store, path: str, media_type: str
) -> None:
    call = track("Product Viewed", "v-9", product_id="SKU1") | {"writeKey": publishable}
    headers = {"Content-Type": media_type, "Origin": "https://shop.example"}
    answer = shop.post(path, content=json.dumps(call), headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    store(1)
    assert stored() == [("v-9", "view", "SKU1", 1)]


def test_what_is_wrong_in_a_batch_is_listed_and_the_rest_is_kept(
    shop: httpx.Client, publishable: str, store: Store
) -> None:
    calls = [
        track("Product Viewed", product_id="SKU1"),
        track("Product Viewed", "undefined", product_id="SKU1"),
        track("Order Completed", order_id="A-1", products=[]),
        track("Order Completed", order_id="A-2", products=[{"name": "no id"}]),
        "no object",
        track("Product Added", product_id="SKU2", quantity=-2),
    ]
    answer = shop.post("/v1/batch", json={"batch": calls}, headers=basic(publishable))
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 1
    details = {rejection["index"]: rejection["problem"]["detail"] for rejection in answer.json()["rejected"]}
    assert details.keys() == {1, 2, 3, 4, 5}
    assert "the id of a single user" in details[1]
    assert "lines: must have at least 1 item" in details[2]
    assert "lines.0.external_id" in details[3]
    assert "user_id" in details[4]
    assert "quantity" in details[5]
    store(1)
    assert stored() == [("ann", "view", "SKU1", 1)]


@pytest.mark.parametrize(
    "call", [track("Order Completed", order_id="A-1"), track("Product Viewed", "null", product_id="SKU1")]
)
def test_a_single_call_that_cannot_be_right_is_refused(
    shop: httpx.Client, publishable: str, call: dict[str, Any]
) -> None:
    answer = shop.post("/v1/track", json=call, headers=basic(publishable))
    assert answer.status_code == 422, answer.text


def test_a_product_that_the_shop_does_not_know_is_seen_by_staff(
    shop: httpx.Client, publishable: str, store: Store
) -> None:
    calls = [track("Product Viewed", product_id="NEW-1"), track("Product Added", product_id="SKU1")]
    assert shop.post("/v1/batch", json={"batch": calls}, headers=basic(publishable)).status_code == 200
    store(1)
    assert stored() == [("ann", "add_to_cart", "SKU1", 1)]
    ((reason,),) = postgres.read("SELECT reason FROM rejected_events")
    assert "NEW-1" in reason


def test_write_keys_are_publishable_keys(shop: httpx.Client, publishable: str, secret: str) -> None:
    call = track("Product Viewed", product_id="SKU1")

    def status(headers: dict[str, str] | None = None, **more: Any) -> int:
        return shop.post("/v1/track", json=call | more, headers=headers).status_code

    assert status() == 401
    assert status(writeKey="wrong") == 401
    assert status(basic("wrong")) == 401
    assert status({"Authorization": "Basic !"}) == 401
    assert status(basic(publishable)) == 200
    assert status(basic(publishable), writeKey=publishable) == 200
    assert status(basic(publishable), writeKey="wrong") == 401
    # two keys of which each would do
    assert status(basic(publishable), writeKey=make_key(shop, "publishable")) == 401
    assert status(basic(secret), writeKey=make_key(shop, "secret")) == 403
    assert status({"X-API-Key": publishable}) == 200
    # a secret key is Segment's Basic user, from a server, and nothing else
    assert status(basic(secret)) == 200
    assert status(basic(secret), writeKey=secret) == 200
    assert status(writeKey=secret) == 403
    assert status(basic(publishable), writeKey=secret) == 403
    assert status(basic(secret) | {"Origin": "https://shop.example"}) == 403


def test_an_oversize_batch_is_refused_with_the_limit(shop: httpx.Client, publishable: str) -> None:
    calls = [track("Signed Up", note="x" * 1000) for _ in range(1200)]
    answer = shop.post("/v1/batch", json={"batch": calls}, headers=basic(publishable))
    assert (answer.status_code, answer.json()["detail"]) == (
        413,
        "The body must be at most 1048576 bytes; send it in parts.",
    )


def test_a_wrong_clock_is_corrected_by_sent_at(shop: httpx.Client, publishable: str, store: Store) -> None:
    wrong = timedelta(days=40)
    now = datetime.now(UTC)
    happened, sent = (now - timedelta(hours=2) + wrong).isoformat(), (now + wrong).isoformat()
    calls = [track("Product Viewed", product_id="SKU1") | {"timestamp": happened}]
    assert shop.post("/v1/batch", json={"batch": calls, "sentAt": sent}, headers=basic(publishable)).status_code == 200
    store(1)
    ((at,),) = postgres.read("SELECT occurred_at FROM events")
    assert abs(at - (now - timedelta(hours=2))) < timedelta(minutes=1)


@pytest.mark.parametrize("kind", ["identify", "alias"])
def test_ids_are_joined_with_a_secret_key_and_only_recorded_with_a_publishable_one(
    shop: httpx.Client, publishable: str, secret: str, store: Store, kind: str
) -> None:
    def call(visitor: str, user: str) -> dict[str, Any]:
        return {
            "type": kind,
            "userId": user,
            "anonymousId": visitor,
            "previousId": visitor,
            "messageId": f"{kind} {user}",
        }

    for visitor in ("v-1", "v-2"):
        view = track("Product Viewed", visitor, product_id="SKU1")
        assert shop.post("/v1/track", json=view, headers=basic(publishable)).status_code == 200
    store(2)
    assert shop.post(f"/v1/{kind}", json=call("v-2", "bob"), headers=basic(publishable)).status_code == 200
    for _ in range(2):
        assert shop.post(f"/v1/{kind}", json=call("v-1", "ann"), headers=basic(secret)).status_code == 200
    store(3)
    assert stored("ann") == [("custom", None, 1), ("view", "SKU1", 1)]
    assert stored("v-2") == [("view", "SKU1", 1)]
    assert stored("bob") == [("custom", None, 1)]


def test_an_unknown_call_names_the_calls(shop: httpx.Client, publishable: str) -> None:
    answer = shop.post("/v1/tracks", json={}, headers=basic(publishable))
    assert answer.status_code == 404
    assert "track, t, identify" in answer.json()["detail"]


def test_unknown_products_are_stubs_if_the_shop_wants_them(shop: httpx.Client, publishable: str, store: Store) -> None:
    setting = {"unknown_products": "stub"}
    assert shop.patch("/admin/shop", json=setting, headers=ADMIN).status_code == 200
    calls = [track("Product Viewed", product_id="NEW-1"), track("Order Completed", order_id="1", products=products(1))]
    assert shop.post("/v1/batch", json={"batch": calls}, headers=basic(publishable)).status_code == 200
    store(1)
    assert stored("ann") == [("purchase", "SKU1", 1), ("view", "NEW-1", 1)]
    rows = postgres.read("SELECT external_id, is_active, quantity FROM products WHERE price = 0")
    assert [tuple(row) for row in rows] == [("NEW-1", False, 0)]
    # no answer shows a stub
    shown = shop.get("/products", params={"page_size": 100}).json()["products"]
    assert len(shown) == 10
    assert "NEW-1" not in {product["external_id"] for product in shown}
