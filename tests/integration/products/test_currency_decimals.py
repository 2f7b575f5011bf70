"""Prices of currencies without and with three decimals: written exactly, refused beyond, counted in bands, filtered."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.storage.operations import shop
from tests.integration.conftest import Serve
from tests.integration.people import as_admin


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The products function over an empty catalog."""
    return as_admin(serve("products"))


def set_currency(currency: str | None) -> None:
    postgres.write("UPDATE shop SET currency = :currency", currency=currency)
    shop.forget()


def add(client: httpx.Client, external_id: str, price: float, **more: Any) -> httpx.Response:
    return client.post("/products", json={"external_id": external_id, "name": external_id, "price": price, **more})


def page_of(client: httpx.Client, **query: Any) -> dict[str, Any]:
    answer = client.get("/products", params={"sort": "price_asc", **query})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize(
    ("currency", "price", "is_stored"),
    [
        ("KWD", 4.255, True),
        ("BHD", 0.001, True),
        ("TND", 9999999999.999, True),
        ("EUR", 4.25, True),
        ("EUR", 4.255, False),
        (None, 4.255, False),
        (None, 4.25, True),
        ("JPY", 1299, True),
        ("JPY", 1299.0, True),
        ("JPY", 1299.5, False),
    ],
)
def test_a_price_has_at_most_the_decimals_of_the_shops_currency(
    client: httpx.Client, currency: str | None, price: float, is_stored: bool
) -> None:
    assert add(client, "bystander", 2.25, currency="EUR").status_code == 201
    set_currency(currency)
    for fields in ({"price": price}, {"price": price, "list_price": price}):
        answer = add(client, f"x{len(fields)}", **fields)
        assert answer.status_code == (201 if is_stored else 422), answer.text
        if is_stored:
            assert answer.json()["price"] == price
            stored = postgres.read("SELECT price FROM products WHERE id = :id", id=answer.json()["id"])
            assert stored[0][0] == Decimal(repr(price))
    assert page_of(client, external_id="bystander")["products"][0]["price"] == 2.25


def test_the_currency_of_a_product_counts_before_the_shops(client: httpx.Client) -> None:
    set_currency("JPY")
    product = add(client, "k", 4.255, currency="KWD").json()
    path = f"/products/{product['id']}"
    assert client.patch(path, json={"list_price": 5.125}).json()["list_price"] == 5.125
    for change in ({"price": 4.2555}, {"currency": "EUR"}, {"currency": None}, {"list_price": 5.1234}):
        answer = client.patch(path, json=change)
        assert answer.status_code == 422, answer.text
    stored = client.get(path).json()
    assert (stored["price"], stored["list_price"], stored["currency"]) == (4.255, 5.125, "KWD")
    # a change of anything else does not ask what the prices are
    postgres.write("UPDATE products SET currency = NULL")
    assert client.patch(path, json={"quantity": 3}).status_code == 200


def test_a_refusal_names_field_rule_and_currency(client: httpx.Client) -> None:
    set_currency("JPY")
    problem = add(client, "y", 100, list_price=100.5).json()
    assert problem["errors"] == [
        {
            "field": "list_price",
            "message": "must have at most 0 decimals, as its currency JPY has",
            "type": "value_error",
        }
    ]


def test_an_import_refuses_the_row_alone(client: httpx.Client) -> None:
    set_currency("KWD")
    body = "external_id,name,price\na,A,1.125 KWD\nb,B,2.125\nc,C,2.125 EUR\nd,D,1.1234\n"
    answer = client.post("/products/import", content=body, headers={"Content-Type": "text/csv"}).json()
    assert (answer["created"], answer["failed"]) == (2, 2)
    assert [(error["row"], error["field"]) for error in answer["errors"]] == [(4, "price"), (5, "price")]
    assert [product["price"] for product in page_of(client)["products"]] == [1.125, 2.125]


@pytest.mark.parametrize(
    ("currency", "prices", "bands"),
    [
        ("KWD", (2.499, 2.5, 4.999, 5), [(1, 2.499, 1), (2.5, 4.999, 2), (5, 9.999, 1)]),
        ("EUR", (2.49, 2.5, 4.99, 5), [(1, 2.49, 1), (2.5, 4.99, 2), (5, 9.99, 1)]),
        (
            "JPY",
            (2, 3, 999, 24_999, 25_000, 120_000, 1_000_000_000),
            [
                (1, 2, 1),
                (3, 4, 1),
                (500, 999, 1),
                (10_000, 24_999, 1),
                (25_000, 49_999, 1),
                (100_000, 249_999, 1),
                (1_000_000_000, None, 1),
            ],
        ),
    ],
)
@pytest.mark.parametrize("search", ["", "lamp"])
def test_bands_end_where_the_currency_does_and_filter_what_they_count(
    client: httpx.Client,
    currency: str,
    prices: tuple[float, ...],
    bands: list[tuple[float, float | None, int]],
    search: str,
) -> None:
    set_currency(currency)
    for place, price in enumerate(prices):
        assert add(client, f"p{place}", price, description="lamp").status_code == 201
    assert add(client, "hidden", 3, description="lamp", is_active=False).status_code == 201
    query = {"search": search} if search else {}
    facets = page_of(client, **query)["facets"]["price_bands"]
    assert [(band["min"], band["max"], band["count"]) for band in facets] == bands
    for least, most, count in bands:
        bounds = {"min_price": least} | ({} if most is None else {"max_price": most})
        page = page_of(client, **query, **bounds)
        assert (page["total"], len(page["products"])) == (count, count)
        assert [band["count"] for band in page["facets"]["price_bands"]] == [count]
    # beside a band's ends
    least, most, count = bands[0]
    assert most is not None
    assert page_of(client, **query, min_price=least, max_price=most - 0.0001)["total"] < count
