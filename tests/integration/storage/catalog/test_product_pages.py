"""Searches with many matches: facets and totals are those of the products, and pages join where ranking ends."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared.clients import postgres
from shared.storage.catalog import suggestions
from shared.storage.catalog.page_fragments import MAX_RANKED
from shared.storage.catalog.product_pages import Filters, Page, find
from shared.storage.catalog.text_query import text_parameters

# one page beyond the ranked matches, and a part of a page
MATCHES = MAX_RANKED + 120
SIZE = 100


@pytest.fixture(scope="module", autouse=True)
def shop(module_env: object) -> Iterator[None]:
    """A shop of lamps, of which the last ones sell best, and of as many stools that also begin with an "s"."""
    postgres.write("INSERT INTO categories (name) VALUES ('Lamps'), ('Sale')")
    postgres.write(
        f"""INSERT INTO products (external_id, name, description, price, quantity, category_id, tags,
                                  further_category_ids, item_group_id)
            SELECT 'L' || n, CASE WHEN n % 10 = 0 THEN 'Shiny' ELSE 'Plain' END || ' lamp ' || n, 'for a room',
                   CASE WHEN n % 2 = 0 THEN 3 ELSE 30 END, n % 3, (SELECT id FROM categories WHERE name = 'Lamps'),
                   CASE WHEN n % 4 = 0 THEN '{{red,round}}' WHEN n % 4 = 1 THEN '{{round}}' ELSE '{{}}' END::text[],
                   CASE WHEN n % 5 = 0 THEN ARRAY(SELECT id FROM categories WHERE name = 'Sale') ELSE '{{}}' END,
                   CASE WHEN n <= 40 THEN 'group ' || n / 4 END
            FROM generate_series(1, {MATCHES}) AS n"""
    )
    postgres.write(
        "INSERT INTO products (name, price, quantity, tags) SELECT 'Stool', 1, 1, '{red}' FROM generate_series(1, 9)"
    )
    postgres.write(
        f"""INSERT INTO product_stats (product_id, purchase_count)
            SELECT id, id FROM products WHERE id > {MATCHES - 300}
            ON CONFLICT (product_id) DO UPDATE SET purchase_count = EXCLUDED.purchase_count"""
    )
    return


def page(filters: Filters, number: int = 1, after: str | None = None) -> dict[str, Any]:
    """Read a page of SIZE products."""
    answer: dict[str, Any] = json.loads(find(filters, Page(number, SIZE, after=after)))
    return answer


def listed(filters: Filters, *, by_cursor: bool) -> list[int]:
    """Read the ids of all pages, by their numbers or by cursor."""
    ids: list[int] = []
    number, after = 1, None
    while True:
        answer = page(filters, 1, after) if by_cursor else page(filters, number)
        ids += [product["id"] for product in answer["products"]]
        number, after = number + 1, answer["next"]
        if after is None:
            return ids


@pytest.mark.parametrize("variants", ["one", "all"])
def test_pages_join_where_ranking_ends(variants: Any) -> None:
    """By number and by cursor, each match is listed once; those that are ranked come before the others."""
    filters = Filters(search="lamp", variants=variants)
    by_number = listed(filters, by_cursor=False)
    assert by_number == listed(filters, by_cursor=True)
    assert len(by_number) == len(set(by_number)) == page(filters)["total"]
    purchases = dict(postgres.read("SELECT product_id, purchase_count FROM product_stats"))
    # all are equally relevant: purchases decide, then the ids
    assert by_number == sorted(by_number, key=lambda each: (-purchases.get(each, 0), each))


def test_facets_count_each_match_once() -> None:
    """Of a search whose products have equal tags, further categories and no group."""
    filters = Filters(search="lamp", variants="all")
    answer = page(filters)
    sets = postgres.read(
        """SELECT (SELECT count(*) FROM products WHERE name LIKE '% lamp %'),
                  (SELECT count(*) FROM products WHERE name LIKE '% lamp %' AND further_category_ids <> '{}'),
                  (SELECT count(*) FROM products WHERE name LIKE '% lamp %' AND 'red' = ANY (tags)),
                  (SELECT count(*) FROM products WHERE name LIKE '% lamp %' AND 'round' = ANY (tags)),
                  (SELECT count(*) FROM products WHERE name LIKE '% lamp %' AND price = 3)"""
    )[0]
    total, in_sale, red, round_, cheap = sets
    assert answer["total"] == total == MATCHES
    assert {each["name"]: each["count"] for each in answer["facets"]["categories"]} == {"Lamps": total, "Sale": in_sale}
    assert answer["facets"]["tags"] == [{"tag": "round", "count": round_}, {"tag": "red", "count": red}]
    assert {each["min"]: each["count"] for each in answer["facets"]["price_bands"]} == {2.5: cheap, 25: total - cheap}


def test_facets_count_each_group_once_for_each_value() -> None:
    """A facet's count is the total of the search that is filtered by it; groups and single products both count."""
    filters = Filters(search="lamp")
    facets = page(filters)["facets"]
    assert page(filters)["total"] == MATCHES - 40 + 11
    for each in facets["tags"]:
        assert page(Filters(search="lamp", tags=(each["tag"],)))["total"] == each["count"], each
    for each in facets["categories"]:
        assert page(Filters(search="lamp", category_id=each["id"]))["total"] == each["count"], each
    for each in facets["price_bands"]:
        bounds = {"min_price": each["min"], "max_price": each["max"]}
        assert page(Filters(search="lamp", **bounds))["total"] == each["count"], each


def test_matches_are_counted_without_reading_the_products() -> None:
    """Only the page's products are read, one of each set of tags, and variants."""
    read = """SELECT pg_stat_force_next_flush(), seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables
              WHERE relname = 'products'"""
    for filters, reads_each in ((Filters(search="lamp"), False), (Filters(search="lamp", min_rating=0), True)):
        postgres.read(read)
        before = postgres.read(read)[0][1]
        find(filters, Page(1, 5))
        postgres.read(read)
        assert (postgres.read(read)[0][1] - before > MATCHES / 2) is reads_each, filters


def test_a_search_without_matches_has_a_total() -> None:
    """No match at all: nought, and no facet."""
    answer = page(Filters(search="lamp", min_price=1e6))
    assert answer["total"] == 0
    assert answer["products"] == []
    assert answer["facets"] == {"categories": [], "price_bands": [], "tags": []}


def test_the_exact_id_comes_before_what_sells_best() -> None:
    """Case does not matter, and a word of the same text neither."""
    assert page(Filters(search="l7"))["products"][0]["external_id"] == "L7"


@pytest.mark.parametrize("typed", ["l", "la", "lamp", "s"])
def test_suggestions_are_the_most_purchased_matches(typed: str) -> None:
    """Of a letter or two as of a word; of products that match by their name, purchases decide."""
    suggested = [each["product_id"] for each in suggestions.suggest(typed, 9) if each["kind"] == "product"]
    word = {"s": ("Shiny", "Stool")}.get(typed, ("lamp",))
    rows = postgres.read(
        """SELECT p.id FROM products p LEFT JOIN product_stats s ON s.product_id = p.id
           WHERE p.name LIKE ANY (cast(:patterns AS text[]))
           ORDER BY coalesce(s.purchase_count, 0) DESC, p.id LIMIT 9""",
        patterns=[f"%{each}%" for each in word],
    )
    assert suggested
    assert suggested == [row[0] for row in rows][: len(suggested)]


def test_a_letter_is_compared_with_popular_products_only() -> None:
    """However many products begin with it: they are read by their ids, and not by the index of all words."""

    def indexes(node: dict[str, Any]) -> set[str]:
        used = {node["Index Name"]} if "Index Name" in node else set()
        return used.union(*(indexes(child) for child in node.get("Plans", ())))

    with postgres.transaction() as connection:
        # a shop of a test is so small that its planner reads all of it
        postgres.execute(connection, "SET LOCAL enable_seqscan = off")
        used = [
            indexes(
                postgres.execute(connection, f"EXPLAIN (FORMAT JSON) {sql}", text_parameters("l") | {"k": 9})[0][0][0][
                    "Plan"
                ]
            )
            for sql in (suggestions.SUGGEST_POPULAR, suggestions.SUGGEST)
        ]
    assert ["products_document" in each for each in used] == [False, True]
    assert "products_pkey" in used[0]
