"""The entries that searches read are those of the products, however products are written."""

import json
from typing import Any

import pytest

from local.data import exported, store
from shared.clients import postgres
from shared.storage.catalog.product_pages import Filters, Page, Sort, find
from shared.storage.events import bulk_loading

DIFFERENT = """
SELECT coalesce(e.id, now_is.id)
FROM search_entries e FULL JOIN current_search_entries now_is USING (id)
WHERE e.* IS DISTINCT FROM now_is.*"""

ROWS_SCANNED = "SELECT sum(seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname IN ('products', 'search_entries')"


@pytest.fixture(autouse=True)
def shop(env: object) -> None:
    """Three lamps, of which the second is a variant, and a stool."""
    postgres.write("INSERT INTO categories (name) VALUES ('Lamps'), ('Sale')")
    postgres.write(
        """INSERT INTO products (external_id, name, price, quantity, category_id, tags, item_group_id)
           SELECT 'L' || n, 'Lamp ' || n, 3 * n, n - 1, (SELECT id FROM categories WHERE name = 'Lamps'),
                  CASE WHEN n = 1 THEN '{red,round}' ELSE '{red}' END::text[], CASE WHEN n = 2 THEN 'group' END
           FROM generate_series(1, 3) AS n
           UNION ALL SELECT 'S', 'Stool', 1, 1, NULL, '{}', NULL"""
    )


def ids() -> dict[str, int]:
    return {row[0]: row[1] for row in postgres.read("SELECT external_id, id FROM products")}


def places() -> dict[int, str]:
    """Return where each product's entry is stored: a rewritten one is elsewhere."""
    return {row[0]: row[1] for row in postgres.read("SELECT id, ctid::text FROM search_entries")}


def search(filters: Filters, sort: Sort = "relevance") -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(find(filters, Page(sort=sort)))
    return answer


@pytest.mark.parametrize(
    "change",
    [
        "price = 60",
        "tags = '{blue}'",
        "quantity = 0",
        "is_active = false",
        "name = 'Lantern'",
        "category_id = NULL",
        "further_category_ids = ARRAY(SELECT id FROM categories WHERE name = 'Sale')",
        "item_group_id = 'another'",
    ],
)
def test_a_change_of_a_product_rewrites_its_entry_alone(change: str) -> None:
    before = places()
    assert len(before) == 4
    postgres.write(f"UPDATE products SET {change} WHERE external_id = 'L2'")
    assert postgres.read(DIFFERENT) == []
    changed = ids()["L2"]
    after = places()
    assert {each for each in before if after[each] != before[each]} == {changed}


def test_what_no_search_reads_rewrites_no_entry() -> None:
    """Stock that stays above zero, and a picture."""
    before = places()
    postgres.write(
        "UPDATE products SET quantity = quantity + 5, image_url = 'https://shop.test/a.png' WHERE quantity > 0"
    )
    assert places() == before
    assert postgres.read(DIFFERENT) == []


def test_a_deleted_product_has_no_entry() -> None:
    gone = ids()["L1"]
    postgres.write("DELETE FROM products WHERE external_id = 'L1'")
    assert sorted(places()) == sorted(ids().values())
    assert gone not in places()
    assert search(Filters(search="lamp"))["total"] == 2


def test_one_plan_serves_an_import_and_a_change() -> None:
    """In one session, after an import, a change of one product looks up that one and does not read all products."""
    with postgres.transaction() as connection:
        postgres.execute(
            connection,
            """INSERT INTO products (name, price, quantity)
               SELECT 'Chair ' || n, 1, 10 + mod(n, 8) FROM generate_series(1, 3000) AS n""",
        )
        # PostgreSQL keeps a plan for all values after five runs of a statement in a session
        for price in range(2, 9):
            postgres.execute(connection, "UPDATE products SET price = :price", {"price": price})
        before = postgres.execute(connection, ROWS_SCANNED)[0][0]
        for n in range(1, 8):
            postgres.execute(
                connection, "UPDATE products SET price = 1 WHERE external_id = :id", {"id": f"L{n % 3 + 1}"}
            )
        assert postgres.execute(connection, ROWS_SCANNED)[0][0] == before
        for quantity in range(10, 17):
            postgres.execute(connection, "DELETE FROM products WHERE quantity = :n", {"n": quantity})
        before = postgres.execute(connection, ROWS_SCANNED)[0][0]
        postgres.execute(connection, "DELETE FROM products WHERE external_id = 'L1'")
        assert postgres.execute(connection, ROWS_SCANNED)[0][0] == before


def test_an_emptied_catalog_has_no_entries() -> None:
    postgres.write("TRUNCATE products CASCADE")
    assert places() == {}


@pytest.mark.parametrize("statement", [bulk_loading.ANALYZE, exported.ANALYZE, store.ANALYZE])
def test_the_planner_knows_the_entries_after_a_load(statement: str) -> None:
    known = "SELECT count(*) FROM pg_stats WHERE tablename = 'search_entries' AND attname = 'document'"
    assert postgres.read(known)[0][0] == 0
    with postgres.transaction() as connection:
        postgres.execute(connection, statement)
    assert postgres.read(known)[0][0] == 1


@pytest.mark.parametrize("sort", ["relevance", "price_asc", "price_desc", "popular"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"max_price": 6},
        {"min_price": 6},
        {"in_stock": True},
        {"in_stock": False},
        {"category": "Lamps"},
        {"category": "Sale"},
        {"variants": "all"},
    ],
)
def test_entries_and_products_give_equal_pages(more: dict[str, Any], sort: Sort) -> None:
    """A search that reads entries finds what the same search of products finds: that of all ratings, or of all tags."""
    postgres.write("UPDATE products SET average_rating = 4, review_count = 1")
    for text in ("lamp", "l2", "lamp 3", "stool"):
        page = search(Filters(search=text, **more), sort)
        of_products = search(Filters(search=text, min_rating=1, **more), sort)
        assert page == of_products, text
    assert search(Filters(search="lamp"), sort)["total"] == 3


def test_a_tag_filters_what_a_facet_counts() -> None:
    facets = search(Filters(search="lamp"))["facets"]
    assert facets["tags"] == [{"tag": "red", "count": 3}, {"tag": "round", "count": 1}]
    assert [search(Filters(search="lamp", tags=(tag,)))["total"] for tag in ("red", "round", "blue")] == [3, 1, 0]
    assert search(Filters(search="lamp", tags=("round",)))["facets"]["tags"] == [
        {"tag": "red", "count": 1},
        {"tag": "round", "count": 1},
    ]


def test_an_exact_title_comes_first() -> None:
    postgres.write("INSERT INTO products (external_id, name, price) VALUES ('T', 'Lamp', 9), ('U', 'LAMP', 9)")
    names = [each["name"] for each in search(Filters(search="LAMP"))["products"]]
    assert names[:2] == ["Lamp", "LAMP"]
