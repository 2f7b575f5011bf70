"""How search, browsing and suggestions slow down when the catalog is ten times as large, on one machine in one run.

Both shops are served at once and take turns, so that other work of the machine slows both alike.
"""

from benchmarks import search
from benchmarks.database import configured, scratch
from benchmarks.frame import Bench, Row
from shared.clients import postgres

FACTOR = 10
# the second shop is measured for its catalog, not for its history
EVENTS = 100_000
TABLES = ("products", "product_stats", "catalog_counts", "search_words")


def group_variants() -> None:
    """Make three quarters of the products variants, four to a group and in its category, a tenth in a further one."""
    with postgres.transaction(statement_timeout_s=0) as connection:
        for statement in (
            """UPDATE products p SET item_group_id = 'g' || p.id / 4, category_id = g.category_id
               FROM (SELECT id / 4 AS number, min(category_id) AS category_id FROM products GROUP BY 1) AS g
               WHERE g.number = p.id / 4 AND p.id / 4 % 4 <> 0""",
            "UPDATE products SET further_category_ids = ARRAY(SELECT min(id) FROM categories) WHERE id / 4 % 10 = 0",
            "SELECT count_changed_groups()",
            "SELECT compact_catalog_counts()",
        ):
            postgres.execute(connection, statement)
    for table in (*TABLES, "catalog_groups", "catalog_group_counts", "catalog_changed_groups"):
        postgres.write(f"VACUUM (ANALYZE) {table}")


def rows(bench: Bench) -> list[Row]:
    """Load a shop of FACTOR times the products into a database of its own, and measure both shops in turns."""
    from local import data

    with scratch("aisle_bench_growth") as url_of_larger:
        data.load("synthetic", {"products": FACTOR * bench.products, "events": EVENTS, "users": 1000}, bench.say)
        for table in TABLES:
            postgres.write(f"VACUUM (ANALYZE) {table}")
        with (
            bench.serving("products") as of_small,
            bench.serving("products", DATABASE_URL=url_of_larger) as of_large,
        ):
            shops = ((of_small, bench.products), (of_large, FACTOR * bench.products))
            small, large = search.measure(*shops)
            group_variants()
            with configured(bench.environment["DATABASE_URL"]):
                group_variants()
            small_variants, large_variants = search.measure_browsing((of_small, of_large), 100)

    def note(name: str, place: int) -> str:
        return f"{small[name][place]:.1f} to {large[name][place]:.1f} ms"

    def ratio(name: str, place: int) -> float:
        return large[name][place] / small[name][place]

    size = f"from {bench.products:,} to {FACTOR * bench.products:,} products"
    return [
        Row(f"product search, p50 at {FACTOR * bench.products:,} products", large["search"][0], "ms", 30, at_most=True),
        Row(f"search {size}, p95", ratio("search", 1), "×", 2, at_most=True, note=note("search", 1)),
        Row("… browsing without a text, p50", ratio("browse", 0), "×", 2, at_most=True, note=note("browse", 0)),
        Row(
            "… browsing a shop of variants, p50",
            large_variants[0] / small_variants[0],
            "×",
            2,
            at_most=True,
            note=f"{small_variants[0]:.1f} to {large_variants[0]:.1f} ms",
        ),
        Row("… suggestions, p95", ratio("suggestion", 1), "×", 2, at_most=True, note=note("suggestion", 1)),
    ]
