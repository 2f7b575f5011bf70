"""Options of variants, from the import to answers, searches, carts and orders."""

from typing import Any

import httpx
import pytest

from tests.integration.conftest import Serve
from tests.integration.people import as_admin

SHOPIFY = (
    "Handle,Title,Option1 Name,Option1 Value,Option2 Value,Variant SKU,Variant Inventory Qty,Variant Price\n"
    "shirt,Linen shirt,Size,S,Black,LS-S,4,39.00\n"
    "shirt,,,M,Black,LS-M,4,39.00\n"
    "shirt-long,Linen shirt long,Title,Default Title,,LONG,4,49.00\n"
    "black,Black linen curtain with shirt collar,Title,Default Title,,CURTAIN,4,19.00\n"
)


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The products function over a shop of variants."""
    client = as_admin(serve("products"))
    answer = client.post("/products/import", content=SHOPIFY.encode(), headers={"Content-Type": "text/csv"})
    assert (answer.status_code, answer.json()["created"]) == (200, 4), answer.text
    return client


def found(client: httpx.Client, search: str, **query: Any) -> list[tuple[str, str | None]]:
    page = client.get("/products", params={"search": search, **query}).json()
    return [(product["external_id"], product["variant_title"]) for product in page["products"]]


def test_variants_of_one_name_can_be_told_apart(client: httpx.Client) -> None:
    shown = dict(found(client, "linen shirt", variants="all"))
    assert shown == {"LS-S": "S / Black", "LS-M": "M / Black", "LONG": None, "CURTAIN": None}


def test_the_exact_title_finds_the_product_first_and_its_options_find_the_variant(client: httpx.Client) -> None:
    assert found(client, "linen shirt")[0][0].startswith("LS-")
    assert found(client, "Linen shirt long")[0] == ("LONG", None)
    assert found(client, "linen shirt m") == [("LS-M", "M / Black")]
    assert {name for name, _title in found(client, "linen shirt black", variants="all")} == {"LS-S", "LS-M", "CURTAIN"}


def test_a_changed_option_is_found_at_once(client: httpx.Client) -> None:
    [product] = client.get("/products", params={"external_id": "LS-M"}).json()["products"]
    answer = client.patch(f"/products/{product['id']}", json={"variant_title": "XXL / Black"})
    assert answer.json()["variant_title"] == "XXL / Black"
    assert found(client, "xxl") == [("LS-M", "XXL / Black")]
    assert ("LS-S", "S / Black") in found(client, "linen shirt", variants="all")
    assert client.patch(f"/products/{product['id']}", json={"variant_title": None}).json()["variant_title"] is None
    assert dict(found(client, "linen shirt", variants="all"))["LS-M"] is None


def test_cart_and_order_have_the_options(client: httpx.Client, serve: Serve) -> None:
    cart, ids = serve("cart"), {}
    for product in client.get("/products", params={"variants": "all"}).json()["products"]:
        ids[product["external_id"]] = product["id"]
    user = {"user_id": "ann"}
    for external_id in ("LS-S", "LS-M", "LONG"):
        answer = cart.post("/cart/items", params=user, json={"product_id": ids[external_id], "quantity": 1})
        assert answer.status_code == 201, answer.text
    items = cart.get("/cart", params=user).json()["items"]
    titles = {item["product"]["external_id"]: item["product"]["variant_title"] for item in items}
    assert titles == {"LS-S": "S / Black", "LS-M": "M / Black", "LONG": None}
    order = cart.post("/cart/checkout", params=user, json={}, headers={"Idempotency-Key": "k-1"}).json()
    assert {item["external_id"]: item["variant_title"] for item in order["items"]} == titles
    assert {item["name"] for item in order["items"]} == {"Linen shirt", "Linen shirt long"}
    # as it was when it was ordered
    client.patch(f"/products/{ids['LS-S']}", json={"variant_title": "XXL / Black"})
    stored = cart.get(f"/orders/{order['id']}", params=user).json()
    assert {item["external_id"]: item["variant_title"] for item in stored["items"]} == titles
