"""Statements read what they show, however many products the catalog has."""

from typing import Any
from uuid import uuid4

import orjson

from benchmarks.plans import scans_of
from shared.clients import postgres
from shared.storage.catalog.categories import LIST, list_categories
from shared.storage.recommending.answer_products import READ_WITH_SOURCES
from tests.integration.shop import add_model, add_plain_products

# so many that the planner weighs reading all of them
PRODUCTS = 12_000


def plan_of(statement: str, **parameters: Any) -> dict[str, Any]:
    """Run a statement and return its plan, with the rows that each node read."""
    ((document,),) = postgres.read(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", **parameters)
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
