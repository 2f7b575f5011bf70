"""Browsing without a text: totals and facets are those of the products, whatever was written and compacted."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from shared.clients import postgres
from shared.domain.shop import PRICE_STEPS
from shared.storage.catalog import catalog_counts
from shared.storage.catalog.page_fragments import MAX_TAG_FACETS
from shared.storage.catalog.product_pages import Filters, Page, Sort, find

# beside and at the ends of bands
PRICES = (0, 0.99, 1, 2.49, 2.5, 4.99, 5, 9.99, 10, 24.99, 25, 99.99, 100, 9999.99, 10000, 123456.78)
SORTS: tuple[Sort, ...] = ("popular", "newest", "price_asc", "price_desc")


@pytest.fixture(scope="module", autouse=True)
def shop(module_env: object) -> None:
    """A shop of 300 products in a tree of categories, written, changed, hidden and deleted in many statements."""
    chance = random.Random(7)
    postgres.write("INSERT INTO categories (name) VALUES ('Home'), ('Garden'), ('Empty')")
    postgres.write(
        "INSERT INTO categories (name, parent_id) SELECT 'Lamps', id FROM categories WHERE name = 'Home' RETURNING id"
    )
    for _ in range(30):
        rows = [
            {
                "name": f"Product {chance.random()}",
                "price": chance.choice(PRICES),
                "quantity": chance.choice((0, 0, 3)),
                "tags": chance.sample(["red", "blue", "green"], chance.randrange(4)),
                "is_active": chance.random() > 0.2,
            }
            for _ in range(10)
        ]
        postgres.write(
            """INSERT INTO products (name, price, quantity, tags, is_active, category_id)
               SELECT name, price, quantity, tags, is_active, (SELECT id FROM categories WHERE name = :category)
               FROM jsonb_to_recordset(cast(:rows AS jsonb))
                    AS r(name text, price numeric, quantity integer, tags text[], is_active boolean)""",
            rows=json.dumps(rows),
            category=chance.choice(("Home", "Lamps", "Garden", "none")),
        )
    for change in (
        "UPDATE products SET price = 25 WHERE id % 7 = 0",
        "UPDATE products SET quantity = 1 - sign(quantity) WHERE id % 5 = 0",
        "UPDATE products SET tags = array_append(tags, 'new') WHERE id % 11 = 0",
        "UPDATE products SET is_active = NOT is_active WHERE id % 13 = 0",
        "UPDATE products SET category_id = NULL WHERE id % 17 = 0",
        "UPDATE products SET description = 'changed' WHERE id % 3 = 0",
        "DELETE FROM products WHERE id % 19 = 0",
        "DELETE FROM products WHERE false",
    ):
        postgres.write(change)
    postgres.write(
        "INSERT INTO product_stats (product_id, purchase_count) SELECT id, id % 4 FROM products WHERE id % 2 = 0 "
        "ON CONFLICT (product_id) DO UPDATE SET purchase_count = EXCLUDED.purchase_count"
    )


def expected(filters: Filters, page: Page) -> dict[str, Any]:
    """Count the products themselves."""
    rows = postgres.read(
        """SELECT p.id, p.price, p.quantity, p.tags, c.name, parent.name, p.created_at, coalesce(s.purchase_count, 0)
           FROM products p LEFT JOIN categories c ON c.id = p.category_id
           LEFT JOIN categories parent ON parent.id = c.parent_id
           LEFT JOIN product_stats s ON s.product_id = p.id WHERE p.is_active"""
    )
    kept = [
        row
        for row in rows
        if (filters.min_price is None or float(row[1]) >= filters.min_price)
        and (filters.max_price is None or float(row[1]) <= filters.max_price)
        and (filters.in_stock is None or (row[2] > 0) == filters.in_stock)
        and (filters.category is None or filters.category in (row[4], row[5]))
        and set(filters.tags) <= set(row[3])
    ]
    keys = {
        "popular": lambda row: (-row[7], row[0]),
        "newest": lambda row: (-row[6].timestamp(), -row[0]),
        "price_asc": lambda row: (row[1], row[0]),
        "price_desc": lambda row: (-row[1], row[0]),
    }
    ordered = [row[0] for row in sorted(kept, key=keys[page.sort])]
    bands = Counter(max(start for start in PRICE_STEPS if start <= row[1]) for row in kept)
    tags = Counter(tag for row in kept for tag in row[3])
    return {
        "ids": ordered[(page.number - 1) * page.size : page.number * page.size],
        "total": len(kept),
        "categories": dict(Counter(row[4] for row in kept if row[4])),
        "bands": dict(bands),
        "tags": dict(sorted(tags.items(), key=lambda item: (-item[1], item[0]))[:MAX_TAG_FACETS]),
    }


def shown(filters: Filters, page: Page) -> dict[str, Any]:
    answer = json.loads(find(filters, page))
    facets = answer["facets"]
    return {
        "ids": [product["id"] for product in answer["products"]],
        "total": answer["total"],
        "categories": {facet["name"]: facet["count"] for facet in facets["categories"]},
        "bands": {facet["min"]: facet["count"] for facet in facets["price_bands"]},
        "tags": {facet["tag"]: facet["count"] for facet in facets["tags"]},
    }


def pages() -> Iterator[tuple[Filters, Page]]:
    chance = random.Random(3)
    bounds = (*PRICES, 3, 7.77, 1e9)
    for number in range(60):
        low, high = chance.choice((None, *bounds)), chance.choice((None, *bounds))
        if low is not None and high is not None and low > high:
            low, high = high, low
        filters = Filters(
            category=chance.choice((None, None, "Home", "Lamps", "Garden", "Empty")),
            min_price=low,
            max_price=high,
            in_stock=chance.choice((None, True, False)),
            tags=("red",) if number % 10 == 9 else (),
        )
        yield filters, Page(chance.choice((1, 1, 2, 5, 40)), chance.choice((1, 20)), SORTS[number % len(SORTS)])


@pytest.mark.parametrize("rows", [0, 300, 1_000_000])
def test_every_page_and_facet_is_that_of_the_products(shop: None, rows: int) -> None:
    # categories that are read as a whole: none, the small ones, all
    postgres.write("UPDATE pg_class SET reltuples = :rows WHERE oid = 'products'::regclass", rows=rows)
    for filters, page in pages():
        assert shown(filters, page) == expected(filters, page), (filters, page)


@pytest.mark.parametrize("rows", [0, 300, 1_000_000])
@pytest.mark.parametrize("category", ["Home", "Lamps", "Empty"])
@pytest.mark.parametrize("more", [{}, {"min_price": 3}, {"in_stock": True}])
def test_pages_by_cursor_have_all_products_of_a_category_once(
    shop: None, rows: int, category: str, more: dict[str, Any]
) -> None:
    postgres.write("UPDATE pg_class SET reltuples = :rows WHERE oid = 'products'::regclass", rows=rows)
    filters = Filters(category=category, **more)
    found: list[int] = []
    after = None
    while True:
        answer = json.loads(find(filters, Page(size=7, sort="popular", after=after)))
        found += [product["id"] for product in answer["products"]]
        after = answer.get("next")
        if after is None:
            break
    assert found == expected(filters, Page(size=1000, sort="popular"))["ids"]
    assert bool(found) == (category != "Empty")


def test_compacting_the_counts_changes_no_answer(shop: None, monkeypatch: pytest.MonkeyPatch) -> None:
    before = postgres.read("SELECT count(*) FROM catalog_counts")[0][0]
    keys = postgres.read("SELECT count(DISTINCT (category_ids, band, in_stock, is_variant, tag)) FROM catalog_counts")[
        0
    ][0]
    with postgres.transaction() as connection:
        catalog_counts.compact(connection)
    # few rows were added: not worth it yet
    assert postgres.read("SELECT count(*) FROM catalog_counts")[0][0] == before > keys
    with postgres.transaction() as connection:
        postgres.execute(connection, "SELECT compact_catalog_counts()")
    assert postgres.read("SELECT count(*) FROM catalog_counts")[0][0] <= keys
    assert postgres.read("SELECT count(*) FROM catalog_counts WHERE n <= 0")[0][0] == 0
    for filters, page in pages():
        assert shown(filters, page) == expected(filters, page), (filters, page)
