"""Frequently bought together, from purchases to the answers."""

from typing import Any

import httpx
import pytest

from functions.admin import rules
from functions.admin.schemas.rules import RuleWrite
from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.recommendations.purchases import run_job, store_purchases
from tests.integration.shop import StoredEvent

DAY = 24.0


def orders(*baskets: tuple[int, ...]) -> None:
    """Store orders, each of a different user."""
    store_purchases(
        *(StoredEvent(f"o{n}", product, "purchase", 30 * DAY) for n, basket in enumerate(baskets) for product in basket)
    )


def bought_together(client: httpx.Client, product_id: object, **query: Any) -> list[dict[str, Any]]:
    answer = client.get("/frequently-bought-together", params={"product_id": product_id} | query)
    assert answer.status_code == 200, answer.text
    products: list[dict[str, Any]] = answer.json()["products"]
    return products


def test_products_of_the_same_orders_go_together(client: httpx.Client, serve: Serve) -> None:
    orders(*[(1, 2)] * 3, (1, 3), (4,), (5,), (1,))
    result = run_job(serve)
    assert (result["baskets"], result["products"], result["pairs"], result["baskets_too_large"]) == (7, 2, 2, 0)
    (product,) = bought_together(client, 1)
    assert (product["id"], product["count"], product["rank"]) == (2, 3, 1)
    assert product["confidence"] == pytest.approx(3 / 5, abs=1e-4)
    assert product["lift"] == pytest.approx(3 * 7 / (5 * 3), abs=1e-4)
    assert bought_together(client, 4) == []
    # an id that is unknown by now takes nothing from the others
    assert [product["id"] for product in bought_together(client, "1,99")] == [2]


def test_several_products_are_combined_and_never_returned(client: httpx.Client, serve: Serve) -> None:
    orders(*[(1, 2, 3)] * 3, *[(1, 4)] * 3, *[(5,)] * 20)
    run_job(serve)
    answer = client.get("/frequently-bought-together", params={"product_id": "1,2"}).json()
    assert answer["product_id"] == [1, 2]
    assert [product["id"] for product in answer["products"]] == [3, 4]
    alone = {product["id"]: product["score"] for product in bought_together(client, 2)}
    assert answer["products"][0]["score"] > alone[3] - 1e-9


def test_a_basket_is_a_session_or_an_hour_without_one(client: httpx.Client, serve: Serve) -> None:
    store_purchases(
        *(
            StoredEvent(f"u{n}", product, "purchase", 10 * DAY + hours)
            for n in range(3)
            for product, hours in ((1, 0), (2, 5), (3, 0))
        ),
        StoredEvent("x", 9, "purchase"),
    )
    assert run_job(serve)["baskets"] == 7
    assert [product["id"] for product in bought_together(client, 1)] == [3]
    postgres.write("UPDATE events SET session_id = 'one'")
    assert run_job(serve)["baskets"] == 4
    assert {product["id"] for product in bought_together(client, 1)} == {2, 3}


def test_giant_baskets_are_left_out_and_counted(client: httpx.Client, serve: Serve) -> None:
    # a product that an order has twice is one
    orders(*[tuple(range(1, 11))] * 5, *[(1, 2, 2)] * 3, (3,))
    for max_basket in (9, 2):
        result = run_job(serve, max_basket=max_basket)
        assert (result["baskets"], result["baskets_too_large"]) == (4, 5)
    assert [product["id"] for product in bought_together(client, 1)] == [2]


def test_a_run_replaces_all_pairs_and_an_empty_shop_has_none(client: httpx.Client, serve: Serve) -> None:
    orders(*[(1, 2)] * 3, (3,))
    run_job(serve)
    assert len(bought_together(client, 1)) == 1
    postgres.write("TRUNCATE events, user_purchases")
    result = run_job(serve)
    assert (result["baskets"], result["pairs"], result["intervals"]) == (0, 0, 0)
    assert bought_together(client, 1) == []


def test_inactive_and_excluded_products_are_not_shown(client: httpx.Client, serve: Serve) -> None:
    orders(*[(1, 2, 3, 4)] * 3, *[(5,)] * 5)
    run_job(serve)
    postgres.write("UPDATE products SET is_active = false WHERE id = 2")
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 3")
    assert {product["id"] for product in bought_together(client, 1)} == {3, 4}
    assert {product["id"] for product in bought_together(client, 1, in_stock=True)} == {4}
    rules.create_rule("test", RuleWrite(kind="exclude", product_id=4))
    assert {product["id"] for product in bought_together(client, 1)} == {3}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("product_id=", 422),
        ("product_id=x", 422),
        ("product_id=0", 422),
        ("product_id=1,,2", 422),
        ("product_id=1&k=0", 422),
        ("product_id=1&k=101", 422),
        ("product_id=1&nope=1", 422),
        ("product_id=99", 404),
        ("product_id=1,99", 404),
        ("product_id=" + ",".join(["1"] * 21), 422),
        ("product_id=9999999999999999999", 422),
    ],
)
def test_a_bad_query_is_a_problem(client: httpx.Client, query: str, status: int) -> None:
    answer = client.get(f"/frequently-bought-together?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
