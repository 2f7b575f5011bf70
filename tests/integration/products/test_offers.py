"""List prices, ratings, places, dates and groups of variants: written, read back, filtered and sorted by."""

from typing import Any

import httpx
import pytest

from tests.integration.conftest import Serve
from tests.integration.people import as_admin

BERLIN, POTSDAM, MUNICH, FIJI = (52.52, 13.405), (52.39, 13.064), (48.137, 11.575), (-17.8, 178.0)
ROWS: list[dict[str, Any]] = [
    {"external_id": "b", "price": 8, "list_price": 10, "average_rating": 4.5, "review_count": 3, "at": BERLIN},
    {"external_id": "p", "price": 10, "list_price": 10, "average_rating": 4.49, "at": POTSDAM},
    {"external_id": "m", "price": 11, "list_price": 10, "average_rating": 0, "at": MUNICH},
    {"external_id": "f", "price": 0.01, "list_price": 0.02, "average_rating": 5, "at": FIJI},
    {"external_id": "n", "price": 5},
]


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The products function over five products."""
    client = as_admin(serve("products"))
    for row in ROWS:
        place = row.get("at")
        body = {"name": f"Lamp {row['external_id']}", "quantity": 1} | {k: v for k, v in row.items() if k != "at"}
        if place is not None:
            body |= {"latitude": place[0], "longitude": place[1]}
        assert client.post("/products", json=body).status_code == 201
    return client


def found(client: httpx.Client, **query: Any) -> list[str]:
    answer = client.get("/products", params={"sort": "price_asc", **query})
    assert answer.status_code == 200, answer.text
    return [product["external_id"] for product in answer.json()["products"]]


def test_what_is_written_is_read_back(client: httpx.Client) -> None:
    written = {
        "item_group_id": "shirt/1",
        "list_price": 12.5,
        "currency": "eur",
        "average_rating": 4.456,
        "review_count": 7,
        "available_from": "2026-12-24T10:00:00+01:00",
        "latitude": -1.5,
        "longitude": 179.5,
    }
    product = client.post("/products", json={"external_id": "x", "name": "X", "price": 1, **written}).json()
    expected = written | {"currency": "EUR", "average_rating": 4.46, "available_from": "2026-12-24T09:00:00+00:00"}
    assert {name: product[name] for name in expected} == expected
    assert client.get(f"/products/{product['id']}").json() == product
    cleared = client.patch(f"/products/{product['id']}", json=dict.fromkeys(written)).json()
    assert {cleared[name] for name in written} == {None}
    assert cleared["price"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("list_price", -0.01),
        ("list_price", 1.001),
        ("currency", "EURO"),
        ("currency", "€"),
        ("average_rating", 5.01),
        ("average_rating", -0.1),
        ("average_rating", "4"),
        ("review_count", -1),
        ("review_count", 1.5),
        ("available_from", "2026-12-24T10:00:00"),
        ("available_from", 1766566800),
        ("item_group_id", ""),
        ("item_group_id", "x" * 256),
        ("further_categories", "Sale"),
    ],
)
def test_a_value_that_is_not_valid_is_named(client: httpx.Client, field: str, value: object) -> None:
    for answer in (
        client.post("/products", json={"name": "X", "price": 1, field: value}),
        client.patch("/products", params={"external_id": "b"}, json={field: value}),
    ):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"].startswith(field)


def test_feeds_have_the_same_fields(client: httpx.Client) -> None:
    feed = (
        "sku;title;price;compare_at_price;currency;rating;review_count;group_id;availability_date\n"
        "b;Lamp b;7,50;10,00;EUR;4,75;12;0815;2026-12-24T10:00:00Z\n"
        "c;Lamp c;7,50;;;;;;\n"
    )
    report = client.post("/products/import", content=feed.encode(), headers={"Content-Type": "text/csv"}).json()
    assert (report["updated"], report["created"], report["failed"]) == (1, 1, 0)
    product = client.get("/products", params={"external_id": "b"}).json()["products"][0]
    assert (product["list_price"], product["average_rating"], product["review_count"]) == (10, 4.75, 12)
    assert (product["item_group_id"], product["currency"]) == ("0815", "EUR")
    assert product["latitude"] == BERLIN[0]


def test_products_on_sale_and_ratings_are_filters(client: httpx.Client) -> None:
    assert found(client, on_sale="true") == ["f", "b"]
    assert found(client, on_sale="false") == ["n", "p", "m"]
    assert found(client, min_rating=4.5) == ["f", "b"]
    assert found(client, min_rating=0) == ["f", "b", "p", "m"]
    assert client.get("/products", params={"min_rating": 5.1}).status_code == 422


def test_products_are_found_and_sorted_by_distance(client: httpx.Client) -> None:
    here = {"latitude": BERLIN[0], "longitude": BERLIN[1]}
    page = client.get("/products", params={**here, "sort": "distance"}).json()["products"]
    assert [product["external_id"] for product in page] == ["b", "p", "m", "f", "n"]
    distances = [product["distance_km"] for product in page]
    assert distances[0] == 0
    assert distances[1] == pytest.approx(27.3, abs=0.3)
    assert distances[2] == pytest.approx(504, abs=3)
    assert distances[4] is None
    assert found(client, **here, max_distance_km=distances[1] + 0.01) == ["b", "p"]
    assert found(client, **here, max_distance_km=distances[1] - 0.01) == ["b"]
    # across the date line
    assert found(client, latitude=-17.8, longitude=-178.0, max_distance_km=500) == ["f"]
    assert "distance_km" not in client.get("/products").json()["products"][0]
    for query in ({"max_distance_km": 5}, {"sort": "distance"}, {"latitude": 1}, {**here, "max_distance_km": 0}):
        assert client.get("/products", params=query).status_code == 422


def test_recommendations_show_distances(client: httpx.Client, serve: Serve) -> None:
    query = {"user_id": "u", "latitude": BERLIN[0], "longitude": BERLIN[1]}
    listed = serve("recommendations").get("/recommendations", params=query).json()["recommendations"]
    distances = {product["external_id"]: product["distance_km"] for product in listed}
    assert (distances["b"], distances["n"]) == (0, None)
    assert distances["p"] == pytest.approx(27.3, abs=0.3)
    without = serve("recommendations").get("/recommendations", params={"user_id": "u"}).json()["recommendations"]
    assert "distance_km" not in without[0]


def test_a_page_shows_one_variant_of_those_that_match(client: httpx.Client) -> None:
    sizes = [("s-red", 20, 0), ("s-blue", 21, 2), ("s-green", 22, 2)]
    for external_id, price, quantity in sizes:
        body = {"external_id": external_id, "name": f"Shirt {external_id[2:]}", "price": price, "quantity": quantity}
        assert client.post("/products", json=body | {"item_group_id": "shirt"}).status_code == 201
    others = ["f", "n", "b", "p", "m"]
    assert found(client) == [*others, "s-blue"]
    assert client.get("/products").json()["total"] == 6
    assert found(client, variants="all") == [*others, "s-red", "s-blue", "s-green"]
    # sold out, but the only one that matches; and the one whose exact id is searched for
    assert found(client, search="red", sort="relevance") == ["s-red"]
    assert found(client, search="s-green", sort="relevance") == ["s-green"]
    assert found(client, search="shirt", sort="relevance") == ["s-blue"]
    assert found(client, in_stock="false") == ["s-red"]
    assert found(client, sort="price_desc")[0] == "s-green"
    assert found(client, external_id=["s-red", "s-blue"]) == ["s-red", "s-blue"]
