"""A sale that a feed no longer has is over; stock in words is not counted; dates of Merchant Center."""

from typing import Any

import httpx
import pytest

from tests.integration.conftest import Serve
from tests.integration.people import as_admin


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The products function over one product on sale that no feed names."""
    client = as_admin(serve("products"))
    bystander = {"external_id": "bystander", "name": "B", "price": 5, "list_price": 9, "quantity": 7}
    assert client.post("/products", json=bystander).status_code == 201
    return client


def load(client: httpx.Client, text: str, media_type: str = "text/csv", **query: str) -> None:
    answer = client.post("/products/import", params=query, content=text, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["errors"]) == (200, []), answer.text


def product(client: httpx.Client, external_id: str) -> dict[str, Any]:
    listed = client.get("/products", params={"external_id": external_id}).json()["products"]
    assert len(listed) == 1
    found: dict[str, Any] = listed[0]
    return found


SHOPIFY = "Handle,Title,Variant SKU,Variant Price,Variant Compare At Price\nlamp,Lamp,L1,{price},{listed}\n"
WOO = "Type,SKU,Name,Regular price,Sale price\nsimple,L1,Lamp,{listed},{price}\n"
GOOGLE = "id\ttitle\tprice\tsale_price\timage_link\nL1\tLamp\t{listed} EUR\t{price}\thttps://x.example/l.jpg\n"
OWN = "external_id,name,price,list_price\nL1,Lamp,{price},{listed}\n"
JSON = '{{"external_id": "L1", "name": "Lamp", "price": {listed}, "sale_price": {price}}}\n'


@pytest.mark.parametrize(
    ("on_sale", "over", "media_type"),
    [
        (SHOPIFY.format(price=15, listed=20), SHOPIFY.format(price=18, listed=""), "text/csv"),
        (WOO.format(price=15, listed=20), WOO.format(price="", listed=18), "text/csv"),
        (GOOGLE.format(price="15 EUR", listed=20), GOOGLE.format(price="", listed=18), "text/tab-separated-values"),
        (GOOGLE.format(price="15 EUR", listed=20), "id\ttitle\tprice\tlink\nL1\tLamp\t18 EUR\t\n", "text/csv"),
        (OWN.format(price=15, listed=20), OWN.format(price=18, listed=""), "text/csv"),
        (OWN.format(price=15, listed=20), OWN.format(price=18, listed=18), "text/csv"),
        (JSON.format(price=15, listed=20), JSON.format(price="null", listed=18), "application/x-ndjson"),
    ],
    ids=["shopify", "woocommerce", "google", "google without the column", "own", "equal", "json"],
)
def test_a_feed_without_the_sale_ends_it(client: httpx.Client, on_sale: str, over: str, media_type: str) -> None:
    load(client, on_sale, media_type)
    assert (product(client, "L1")["price"], product(client, "L1")["list_price"]) == (15, 20)
    load(client, over, media_type)
    assert (product(client, "L1")["price"], product(client, "L1")["list_price"]) == (18, None)
    assert product(client, "bystander")["list_price"] == 9


def test_a_file_that_does_not_tell_of_sales_leaves_list_prices(client: httpx.Client) -> None:
    load(client, OWN.format(price=15, listed=20))
    load(client, "external_id,name,price\nL1,Lamp,18\n")
    assert (product(client, "L1")["price"], product(client, "L1")["list_price"]) == (18, 20)


FEED = """<?xml version="1.0"?><rss xmlns:g="http://base.google.com/ns/1.0"><channel>
<item><g:id>a</g:id><title>A</title><g:price>20 EUR</g:price><g:sale_price>15 EUR</g:sale_price>
<g:sale_price_effective_date>2026-01-01T00:00+0100/{end}</g:sale_price_effective_date>
<g:availability>{stock}</g:availability><g:availability_date>{date}</g:availability_date></item></channel></rss>"""


@pytest.mark.parametrize(
    ("end", "stock", "date", "expected"),
    [
        ("2999-01-01T00:00+0100", "in_stock", "2026-03-01", (15, 20, 1, "2026-03-01T00:00:00+00:00")),
        ("2026-01-02T00:00+0100", "preorder", "2026-03-01T09:00+0100", (20, None, 1, "2026-03-01T08:00:00+00:00")),
        ("2026-01-02", "out_of_stock", "2026-03-01T09:00", (20, None, 0, "2026-03-01T09:00:00+00:00")),
    ],
)
def test_a_feed_of_merchant_center(
    client: httpx.Client, end: str, stock: str, date: str, expected: tuple[float, float | None, int, str]
) -> None:
    load(client, FEED.format(end=end, stock=stock, date=date), "application/xml")
    a = product(client, "a")
    assert (a["price"], a["list_price"], a["quantity"], a["available_from"]) == expected
    assert a["stock_counted"] is False
    assert (product(client, "bystander")["quantity"], product(client, "bystander")["stock_counted"]) == (7, True)


def test_a_quantity_counts_the_stock_again(client: httpx.Client) -> None:
    load(client, FEED.format(end="2999-01-01", stock="in stock", date="2026-03-01"), "application/xml")
    path = f"/products/{product(client, 'a')['id']}"
    assert client.patch(path, json={"price": 3}).json()["stock_counted"] is False
    changed = client.patch(path, json={"quantity": 4}).json()
    assert (changed["quantity"], changed["stock_counted"]) == (4, True)
    changed = client.patch(path, json={"stock_counted": False}).json()
    assert (changed["quantity"], changed["stock_counted"]) == (4, False)
    assert client.patch(path, json={"stock_counted": None}).status_code == 422
