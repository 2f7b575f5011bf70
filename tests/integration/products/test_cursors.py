"""Pages by cursor: nothing is skipped or shown twice while rows come and go. Filter values with commas."""

import base64
from typing import Any

import httpx
import orjson
import pytest

from shared.clients import postgres, redis_sync
from shared.domain import cursors
from shared.storage.answers import invalidation
from tests.integration.conftest import Serve
from tests.integration.shop import add_products

ORDERS = ["price_asc", "price_desc", "newest", "popular", "relevance"]


@pytest.fixture
def shop(env: dict[str, str], serve: Serve) -> httpx.Client:
    """Thirty products, of which several cost the same, and some were bought equally often."""
    add_products(30)
    postgres.write(
        "UPDATE products SET price = 1 + mod(id, 4) * 0.01, created_at = now() - mod(id, 3) * interval '1 day'"
    )
    postgres.write("INSERT INTO product_stats (product_id, purchase_count) SELECT id, mod(id, 3) FROM products")
    return serve("products")


def forget_answers() -> None:
    redis_sync.attempt(lambda redis: redis.flushdb(), None)


def walk(shop: httpx.Client, between: Any = None, **parameters: Any) -> list[int]:
    """Return the ids on all pages by cursor; ``between`` is called after the first page."""
    ids: list[int] = []
    after: dict[str, str] = {}
    while True:
        answer = shop.get("/products", params={"page_size": 7, **parameters, **after})
        assert answer.status_code == 200, answer.text
        ids += [product["id"] for product in answer.json()["products"]]
        if answer.json()["next"] is None:
            return ids
        after = {"after": answer.json()["next"]}
        if between is not None:
            between()
            between = None
            forget_answers()


@pytest.mark.parametrize("sort", ORDERS)
@pytest.mark.parametrize("search", ["", "product"])
def test_the_pages_by_cursor_are_those_by_number(shop: httpx.Client, sort: str, search: str) -> None:
    parameters = {"sort": sort, "search": search}
    numbered = [
        product["id"]
        for page in range(1, 6)
        for product in shop.get("/products", params=parameters | {"page": page, "page_size": 7}).json()["products"]
    ]
    assert walk(shop, **parameters) == numbered
    assert len(set(numbered)) == 30


@pytest.mark.parametrize("sort", ORDERS)
def test_nothing_that_stays_is_skipped_or_repeated_while_others_go_and_come(shop: httpx.Client, sort: str) -> None:
    first = [
        product["id"] for product in shop.get("/products", params={"sort": sort, "page_size": 7}).json()["products"]
    ]

    def change() -> None:
        postgres.write("UPDATE products SET is_active = false WHERE id = ANY (cast(:ids AS bigint[]))", ids=first[:3])
        # first in every order but the one by popularity
        postgres.write(
            """INSERT INTO products (external_id, name, price, quantity, created_at)
               SELECT 'NEW' || n, 'New ' || n, CASE WHEN n = 1 THEN 0.5 ELSE 9 END, 1, now()
               FROM generate_series(1, 2) AS n"""
        )

    seen = walk(shop, change, sort=sort)
    assert len(seen) == len(set(seen))
    assert set(range(1, 31)) <= set(seen)


def test_a_page_by_number_skips_what_a_cursor_does_not(shop: httpx.Client) -> None:
    first = shop.get("/products", params={"sort": "price_asc", "page_size": 10}).json()
    gone = [product["id"] for product in first["products"][:3]]
    postgres.write("UPDATE products SET is_active = false WHERE id = ANY (cast(:ids AS bigint[]))", ids=gone)
    forget_answers()
    parameters = {"sort": "price_asc", "page_size": 10}
    by_number = shop.get("/products", params=parameters | {"page": 2}).json()["products"]
    by_cursor = shop.get("/products", params=parameters | {"after": first["next"]}).json()["products"]
    assert [product["id"] for product in by_number[:-3]] == [product["id"] for product in by_cursor[3:]]
    assert len(by_cursor) == 10


@pytest.mark.parametrize("after", ["x", "W10", "eyJ9", "bnVsbA", "a" * 600, "WyJwcmljZSwgaWQiLCAiYSIsIDFd", "", "é"])
def test_what_is_no_cursor_of_the_list_is_refused(shop: httpx.Client, after: str) -> None:
    assert shop.get("/products", params={"sort": "price_asc", "after": after}).status_code == 422


@pytest.mark.parametrize("moment", ["2026-W01-1T00:00:00+00:00", "2026-01-01T00:00:00+23:59"])
def test_a_time_that_only_python_reads_is_no_error_of_the_database(shop: httpx.Client, moment: str) -> None:
    cursor = shop.get("/products", params={"sort": "newest", "page_size": 7}).json()["next"]
    order, *key = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    changed = [moment if isinstance(value, str) and "T" in value else value for value in key]
    assert changed != key
    answer = shop.get("/products", params={"sort": "newest", "after": cursors.encode(order, changed)})
    assert answer.status_code == 200, answer.text


def test_a_cursor_belongs_to_its_order(shop: httpx.Client) -> None:
    cursor = shop.get("/products", params={"sort": "price_asc", "page_size": 7}).json()["next"]
    assert shop.get("/products", params={"sort": "price_desc", "after": cursor}).status_code == 422
    assert shop.get("/products", params={"sort": "price_asc", "after": cursor, "page": 2}).status_code == 422
    assert shop.get("/products", params={"sort": "price_asc", "after": cursor}).status_code == 200


def test_a_tag_may_contain_commas(shop: httpx.Client) -> None:
    postgres.write("UPDATE products SET tags = ARRAY['red, large', 'wool'] WHERE id = 5")
    postgres.write("UPDATE products SET tags = ARRAY['red', 'large', 'wool'] WHERE id = 6")
    invalidation.forget_products([5, 6])

    def found(**parameters: Any) -> list[int]:
        return [product["id"] for product in shop.get("/products", params=parameters).json()["products"]]

    assert found(tag="red, large") == [5]
    assert found(tags="red, large") == [6]
    assert found(tags="wool", tag="red, large") == [5]
    assert found(tag=["wool", "red"]) == [6]
    assert (
        shop.get("/products", params={"tags": "a" + ",a" * 30, "tag": [str(n) for n in range(20)]}).status_code == 422
    )
