"""Counts by price step beside the bands that the previous release reads, whatever was written."""

from shared.clients import postgres
from shared.domain.shop import PRICE_STEPS
from shared.storage.catalog import catalog_counts

COUNTED = "SELECT band, price_step, sum(n)::integer FROM catalog_counts GROUP BY 1, 2 HAVING sum(n) <> 0 ORDER BY 1, 2"
PRODUCTS = """
SELECT price_band(price), price_step_of(price), count(*)::integer FROM products WHERE is_active GROUP BY 1, 2
ORDER BY 1, 2"""
CELLS = """
SELECT each.band, each.price_step, sum(g.n)::integer FROM catalog_group_counts g, unnest(g.cells) AS each
WHERE g.tag IS NULL GROUP BY 1, 2 HAVING sum(g.n) <> 0 ORDER BY 1, 2"""


def test_the_steps_of_sql_are_those_of_the_facets(env: dict[str, str]) -> None:
    """A step begins at its lower end, and a thousandth below it the step before."""
    for number, start in enumerate(PRICE_STEPS, 1):
        steps = postgres.read(
            "SELECT price_step_of(cast(cast(:start AS float8) AS numeric)),"
            " price_step_of(cast(cast(:start AS float8) AS numeric) - 0.001)",
            start=float(start),
        )
        assert tuple(steps[0]) == (number, number - 1)


def test_both_counts_follow_the_products(env: dict[str, str]) -> None:
    add = "INSERT INTO products (name, price, item_group_id) VALUES ('x', cast(:price AS numeric), :group) RETURNING id"
    ids = [
        postgres.write(add, price=price, group=group)[0][0]
        for price, group in (
            ("0.999", None),
            ("24999.999", None),
            ("25000", None),
            ("10000", None),
            ("9999999999.999", None),
            ("30000", "g"),
            ("300000", "g"),
        )
    ]
    for change in (
        "SELECT 1",
        f"UPDATE products SET price = price * 1000 WHERE id = {ids[0]} RETURNING id",
        f"UPDATE products SET is_active = false WHERE id = {ids[1]} RETURNING id",
        f"DELETE FROM products WHERE id = {ids[2]} RETURNING id",
    ):
        postgres.write(change)
        singles = [
            tuple(row) for row in postgres.read(COUNTED.replace("GROUP", "WHERE NOT is_variant AND tag IS NULL GROUP"))
        ]
        assert singles == [
            tuple(row) for row in postgres.read(PRODUCTS.replace("GROUP", "AND item_group_id IS NULL GROUP"))
        ]
        with postgres.transaction() as connection:
            catalog_counts.compact(connection)
        assert [tuple(row) for row in postgres.read(CELLS)] == [(14, 15, 1), (14, 18, 1)]
