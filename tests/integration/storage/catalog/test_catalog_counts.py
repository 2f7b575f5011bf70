"""Variants and further categories: a page answered from counts is the page of the products, whatever was written."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from shared.clients import postgres
from shared.storage.catalog import catalog_counts, product_pages
from shared.storage.catalog.product_pages import Filters, Page, Sort, find

# beside and at the ends of bands
PRICES = (0.99, 1, 2.49, 2.5, 4.99, 5, 9.99, 25, 99.99, 100)
SORTS: tuple[Sort, ...] = ("popular", "newest", "price_asc", "price_desc", "relevance")
GROUPS = 40
TOP = ("Home", "Garden", "Sale", "Empty")
# each changes a part of the products, which have groups, categories and stock by chance
CHANGES = (
    "UPDATE products SET price = 25 WHERE id % 7 = 0",
    "UPDATE products SET quantity = 1 - sign(quantity) WHERE id % 5 = 0",
    "UPDATE products SET tags = array_append(tags, 'new') WHERE id % 11 = 0",
    "UPDATE products SET is_active = NOT is_active WHERE id % 13 = 0",
    "UPDATE products SET category_id = NULL WHERE id % 17 = 0",
    "UPDATE products SET item_group_id = NULL WHERE id % 19 = 0",
    "UPDATE products SET item_group_id = 'g1' WHERE id % 23 = 0",
    "UPDATE products SET is_active = false WHERE item_group_id = 'g2'",
    "UPDATE products SET further_category_ids = '{}' WHERE id % 3 = 0",
    "UPDATE products SET description = 'changed' WHERE id % 3 = 0",
    "DELETE FROM products WHERE id % 29 = 0 OR item_group_id = 'g3'",
)


def add_products(chance: random.Random, number: int) -> None:
    """Add products in one statement: half of them variants, a third in further categories."""
    names = (*TOP[:3], "Lamps", None)
    rows = [
        {
            "name": f"Product {chance.random()}",
            "price": chance.choice(PRICES),
            "quantity": chance.choice((0, 0, 3)),
            "tags": chance.sample(["red", "blue", "green"], chance.randrange(4)),
            "is_active": chance.random() > 0.2,
            "category": chance.choice(names),
            "further": [chance.choice(names[:4]) for _ in range(chance.choice((0, 0, 2)))],
            "item_group_id": chance.choice((None, f"g{chance.randrange(GROUPS)}")),
        }
        for _ in range(number)
    ]
    postgres.write(
        """INSERT INTO products (name, price, quantity, tags, is_active, item_group_id, category_id,
                                 further_category_ids)
           SELECT r.name, price, quantity, tags, is_active, item_group_id, c.id,
                  ARRAY(SELECT f.id FROM categories f JOIN unnest(further) AS named(name) USING (name))
           FROM jsonb_to_recordset(cast(:rows AS jsonb))
                AS r(name text, price numeric, quantity integer, tags text[], is_active boolean, category text,
                     further text[], item_group_id text)
           LEFT JOIN categories c ON c.name = r.category""",
        rows=json.dumps(rows),
    )


@pytest.fixture(scope="module", autouse=True)
def shop(module_env: object) -> None:
    """A tree of categories, and 300 products that were added, changed, hidden and deleted, with counts in between."""
    chance = random.Random(11)
    for name in TOP:
        postgres.write("INSERT INTO categories (name) VALUES (:name)", name=name)
    postgres.write("INSERT INTO categories (name, parent_id) SELECT 'Lamps', id FROM categories WHERE name = 'Home'")
    for number in range(30):
        add_products(chance, 10)
        if number == 15:
            count()
    for number, change in enumerate(CHANGES):
        postgres.write(change)
        if number == 6:
            count()
    postgres.write(
        "INSERT INTO product_stats (product_id, purchase_count) SELECT id, id % 4 FROM products WHERE id % 2 = 0 "
        "ON CONFLICT (product_id) DO UPDATE SET purchase_count = EXCLUDED.purchase_count"
    )


def count() -> None:
    with postgres.transaction() as connection:
        catalog_counts.compact(connection)


def requests() -> Iterator[tuple[Filters, Page]]:
    chance = random.Random(3)
    bounds = (*PRICES, 3, 7.77, 1e9)
    for number in range(40):
        low, high = chance.choice((None, *bounds)), chance.choice((None, *bounds))
        if low is not None and high is not None and low > high:
            low, high = high, low
        yield (
            Filters(
                category=chance.choice((None, None, *TOP, "Lamps")),
                min_price=low,
                max_price=high,
                in_stock=chance.choice((None, True, False)),
                variants="all" if number % 8 == 7 else "one",
            ),
            Page(chance.choice((1, 1, 2, 40)), chance.choice((1, 7, 20)), SORTS[number % len(SORTS)]),
        )


def pages(filters: Filters, page: Page) -> list[dict[str, Any]]:
    """Return a page by number, and by cursor those after the first, at most three."""
    answers = [json.loads(find(filters, page))]
    following = json.loads(find(filters, Page(1, page.size, page.sort)))["next"]
    while following is not None and len(answers) < 4:
        answers.append(json.loads(find(filters, Page(1, page.size, page.sort, following))))
        following = answers[-1]["next"]
    return answers


def assert_counts_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare pages answered from the counts with the same pages answered from the products."""
    for filters, page in requests():
        from_counts = pages(filters, page)
        with monkeypatch.context() as without_counts:
            without_counts.setattr(product_pages, "_can_browse", lambda *_: False)
            assert from_counts == pages(filters, page), (filters, page)


def test_pages_from_counts_are_those_of_the_products(monkeypatch: pytest.MonkeyPatch) -> None:
    assert postgres.read("SELECT count(*) FROM catalog_changed_groups")[0][0] > 0
    assert postgres.read("SELECT count(*) FROM catalog_groups")[0][0] > 0
    assert_counts_are_right(monkeypatch)
    count()
    # each group that is left is counted, and no other
    assert postgres.read("SELECT count(*) FROM catalog_changed_groups")[0][0] == 0
    assert (
        postgres.read("SELECT item_group_id, variants FROM catalog_groups EXCEPT SELECT * FROM catalog_variants") == []
    )
    assert (
        postgres.read("SELECT * FROM catalog_variants EXCEPT SELECT item_group_id, variants FROM catalog_groups") == []
    )
    assert_counts_are_right(monkeypatch)
    postgres.write("SELECT compact_catalog_counts()")
    assert postgres.read("SELECT count(*) FROM catalog_group_counts WHERE n <= 0")[0][0] == 0
    assert_counts_are_right(monkeypatch)


@pytest.mark.parametrize("counted", [False, True])
def test_the_count_of_a_facet_is_the_total_of_the_page_that_it_filters(counted: bool) -> None:
    if counted:
        count()
    page = Page(size=1)
    facets = json.loads(find(Filters(), page))["facets"]
    assert all(facets.values())
    for facet in facets["categories"]:
        # the category by itself, without those below it
        if facet["name"] != "Home":
            assert json.loads(find(Filters(category_id=facet["id"]), page))["total"] == facet["count"], facet
    for facet in facets["price_bands"]:
        filters = Filters(min_price=facet["min"], max_price=facet["max"])
        assert json.loads(find(filters, page))["total"] == facet["count"], facet
    for facet in facets["tags"]:
        assert json.loads(find(Filters(tags=(facet["tag"],)), page))["total"] == facet["count"], facet


def test_two_transactions_change_two_variants_of_a_group_and_neither_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)
    add_products(chance, 30)
    count()
    one, other = (
        row[0]
        for row in postgres.read(
            """SELECT id FROM products WHERE item_group_id = (
                   SELECT item_group_id FROM products WHERE item_group_id IS NOT NULL AND is_active
                   GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1) AND is_active ORDER BY id LIMIT 2"""
        )
    )
    change = "UPDATE products SET quantity = 1 - sign(quantity), price = 49 WHERE id = :id"
    with postgres.transaction() as first:
        postgres.execute(first, "SET LOCAL lock_timeout = '2s'")
        postgres.execute(first, change, {"id": one})
        with postgres.transaction() as second:
            postgres.execute(second, "SET LOCAL lock_timeout = '2s'")
            postgres.execute(second, change, {"id": other})
        # counted while the first change is not committed: its note stays
        with postgres.transaction() as counting:
            postgres.execute(counting, "SET LOCAL lock_timeout = '2s'")
            catalog_counts.compact(counting)
    assert_counts_are_right(monkeypatch)
    count()
    assert_counts_are_right(monkeypatch)
