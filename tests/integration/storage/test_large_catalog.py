"""Statements read what they show, however many products the catalog has."""

import re
from typing import Any
from uuid import uuid4

import orjson
import pytest

from benchmarks.plans import scans_of
from shared.clients import postgres
from shared.domain.content import CONTENT_SHARE_MIN, ELSEWHERE, EVENTS_PRIOR, EVIDENCE_PRIOR, LEAST_CONTENT
from shared.storage.catalog import product_pages
from shared.storage.catalog.categories import LIST, list_categories
from shared.storage.recommending.answer_products import READ_WITH_SOURCES
from shared.storage.recommending.similar_products import SIMILAR
from tests.integration.shop import add_model, add_plain_products

# so many that the planner weighs reading all of them
PRODUCTS = 12_000
PARAMETER = re.compile(r"(?<!:):(\w+)")


def plan_of(statement: str, **parameters: Any) -> dict[str, Any]:
    """Run a statement and return its plan, with the rows and the pages of tables that each node read."""
    ((document,),) = postgres.read(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}", **parameters)
    plan: dict[str, Any] = document[0]["Plan"]
    return plan


def generic_plan_of(statement: str, **parameters: float | None) -> dict[str, Any]:
    """As ``plan_of``, with the plan that a prepared statement may keep: one that is made without the values."""
    names = sorted(parameters)
    numbered = PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", statement).replace("::", r"\:\:")
    values = ", ".join("NULL" if parameters[name] is None else str(parameters[name]) for name in names)
    with postgres.transaction() as connection:
        postgres.execute(connection, "SET LOCAL plan_cache_mode = force_generic_plan")
        postgres.execute(connection, f"PREPARE explained AS {numbered}")
        ((document,),) = postgres.execute(
            connection, f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE explained ({values})"
        )
        postgres.execute(connection, "DEALLOCATE explained")
    plan: dict[str, Any] = document[0]["Plan"]
    return plan


def test_reasons_read_the_names_of_their_products_alone(env: object) -> None:
    ids = add_plain_products(PRODUCTS)
    shown, known = ids[:10], ids[-10:]
    version = add_model({product: dict.fromkeys(shown, 0.5) for product in known})
    postgres.write("ANALYZE products")
    plan = plan_of(
        READ_WITH_SOURCES,
        ids=shown,
        profile=known,
        weights=[1.0] * len(known),
        kinds=["view"] * len(known),
        version=version,
        log_id=str(uuid4()),
        log_user="u",
        log_kind="recommendations",
        log_strategy="personalized",
        log_version=version,
    )
    scans = [scan for scan in scans_of(plan) if scan.table == "products"]
    # the products of the answer, and those that they are shown because of
    assert len(scans) == 2
    assert [scan.rows for scan in scans] == [len(shown), len(shown)]


def test_categories_find_products_of_further_categories_by_their_index(env: object) -> None:
    ids = add_plain_products(PRODUCTS)
    first, second = (
        int(row[0]) for row in postgres.write("INSERT INTO categories (name) VALUES ('A'), ('B') RETURNING id")
    )
    postgres.write("UPDATE products SET category_id = :first", first=first)
    postgres.write(
        """UPDATE products SET further_category_ids = ARRAY[cast(:second AS bigint)]
           WHERE id = ANY (cast(:ids AS bigint[]))""",
        second=second,
        ids=ids[:3],
    )
    postgres.write("VACUUM (ANALYZE) products")
    scans = [scan for scan in scans_of(plan_of(LIST)) if scan.table == "products"]
    assert "Seq Scan" not in {scan.kind for scan in scans}
    # the others are counted in the index on their category
    assert sorted(scan.rows for scan in scans) == [3, PRODUCTS]
    counts = {category["name"]: category["product_count"] for category in orjson.loads(list_categories())}
    assert counts == {"A": PRODUCTS, "B": 3}


def test_similar_products_read_the_trend_of_their_own_and_of_their_category(env: object) -> None:
    ids = add_plain_products(PRODUCTS)
    postgres.write("INSERT INTO categories (name) SELECT 'C' || n FROM generate_series(1, 10) AS n")
    postgres.write("UPDATE products SET category_id = (SELECT min(id) FROM categories) + id % 10")
    postgres.write(
        """INSERT INTO trending_scores (time_window, product_id, score, event_count, category_id)
           SELECT '30d', id, id, 1, category_id FROM products"""
    )
    target, near = ids[0], ids[5000:5050]
    add_model({target: dict.fromkeys(near, 0.5)})
    postgres.write("VACUUM (ANALYZE) products, trending_scores, item_similarity")
    plan = generic_plan_of(
        SIMILAR["hybrid", False],
        product_id=target,
        external_id=None,
        k=10,
        elsewhere=ELSEWHERE,
        least=LEAST_CONTENT,
        prior=EVIDENCE_PRIOR,
        share_min=CONTENT_SHARE_MIN,
        events_prior=EVENTS_PRIOR,
    )
    scans = [scan for scan in scans_of(plan) if scan.table == "trending_scores"]
    # the first of the category, k and one more, and those of the products that are ranked
    assert [scan.rows for scan in scans if scan.index == "trending_scores_by_category"] == [11]
    assert sum(scan.rows for scan in scans) == 11 + len(near) + 11


def add_categories() -> list[int]:
    """Add products of a small, a large and a further category, all of them bought; return their ids, ascending."""
    ids = add_plain_products(PRODUCTS)
    postgres.write("INSERT INTO categories (name) VALUES ('Small'), ('Large'), ('Further')")
    postgres.write(
        """UPDATE products SET category_id = (SELECT id FROM categories
               WHERE name = CASE WHEN products.id % 120 = 0 THEN 'Small' ELSE 'Large' END)"""
    )
    postgres.write(
        """UPDATE products SET further_category_ids = ARRAY(SELECT id FROM categories WHERE name = 'Further')
           WHERE id % 1000 = 0"""
    )
    # every product was bought: those of the small category are spread over the whole index on purchases
    postgres.write(
        """INSERT INTO product_stats (product_id, purchase_count) SELECT id, id FROM products
           ON CONFLICT (product_id) DO UPDATE SET purchase_count = EXCLUDED.purchase_count"""
    )
    postgres.write("SELECT compact_catalog_counts()")
    postgres.write("VACUUM (ANALYZE) products, product_stats, catalog_counts")
    return ids


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the plans of the pages of products that are read from now on."""
    plans: list[dict[str, Any]] = []

    def explain(sql: str, **parameters: Any) -> list[Any]:
        plans.append(plan_of(sql, **parameters))
        return read(sql, **parameters)

    read = postgres.read
    monkeypatch.setattr(product_pages, "read", explain)
    return plans


def test_pages_of_a_category_read_it_or_as_many_purchases_as_they_need(
    env: object, plans: list[dict[str, Any]]
) -> None:
    ids = add_categories()
    for category, matches, at_most in (("Small", 100, 700), ("Further", 12, 100), ("Large", 11_900, 200)):
        answer = orjson.loads(product_pages.find(product_pages.Filters(category=category), product_pages.Page()))
        shown = [product["id"] for product in answer["products"]]
        assert answer["total"] == matches
        expected = {"Small": 120, "Further": 1000}.get(category)
        assert shown == sorted((i for i in ids if i % (expected or 120) == 0), reverse=True)[:20] or not expected
        scans = [scan for scan in scans_of(plans[-1]) if scan.table in ("products", "product_stats")]
        assert 0 < sum(scan.rows for scan in scans) <= at_most, (category, scans)


@pytest.mark.parametrize("number", [1, 600])
def test_few_matches_in_a_large_category_do_not_read_the_category(
    env: object, plans: list[dict[str, Any]], number: int
) -> None:
    ids = add_categories()
    in_stock = [id_ for id_ in ids if id_ % 2000 in (1, 1200)]
    postgres.write("UPDATE products SET quantity = 0 WHERE id <> ALL (cast(:ids AS bigint[]))", ids=in_stock)
    postgres.write("SELECT compact_catalog_counts()")
    postgres.write("VACUUM (FULL, ANALYZE) products, product_stats, catalog_counts")
    costly = ids[-10:]
    lowest = PRODUCTS - 10.0
    # All products have to be read to know which are in stock, but not each of them by indexes, which is three pages.
    # A small category, and its hundred products one by one, are read as a whole.
    for category, filters, found, at_most in (
        ("Large", {"min_price": lowest}, costly, 400),
        ("Large", {"in_stock": True}, in_stock, PRODUCTS),
        ("Small", {"min_price": lowest}, costly, 700),
        ("Small", {"in_stock": True}, in_stock, 700),
    ):
        page = product_pages.Page(number=number)
        answer = orjson.loads(product_pages.find(product_pages.Filters(category=category, **filters), page))
        matches = [id_ for id_ in reversed(found) if (id_ % 120 == 0) == (category == "Small")]
        assert answer["total"] == len(matches)
        assert [product["id"] for product in answer["products"]] == (matches if number == 1 else [])
        pages = plans[-1]["Shared Hit Blocks"] + plans[-1]["Shared Read Blocks"]
        assert 0 < pages <= at_most, (category, filters)
