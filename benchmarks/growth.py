"""How search, browsing, suggestions and recommendations slow down when the catalog is ten times as large, in one run.

Both shops are served at once and take turns, so that other work of the machine slows both alike.
"""

from itertools import pairwise
from urllib.parse import urlsplit, urlunsplit

from benchmarks import search
from benchmarks.database import configured, scratch
from benchmarks.frame import RUNS, Bench, Row, median, run_jobs
from benchmarks.load import get
from shared.clients import postgres

FACTOR = 10
# The second shop is measured for its catalog. Its users have as many events each as those of the first.
EVENTS = 100_000
USERS = 1_000
# users of each shop whose recommendations are computed, after those of a first run that is not measured
MEASURED = 400
WARMING = 20
TABLES = ("products", "product_stats", "catalog_counts", "search_words", "search_entries")


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


def beside(redis_url: str) -> str:
    """Return the URL of another database of the same Redis: shops that shared one would read each other's lists."""
    parts = urlsplit(redis_url)
    return urlunsplit(parts._replace(path=f"/{int(parts.path.strip('/') or 0) + 1}"))


def recommendations(urls: tuple[str, str], users: tuple[int, int]) -> list[float]:
    """Return p50, in ms, of each shop's recommendations, each computed for a user of whom no answer is stored yet."""
    size = (min(MEASURED, *users) - WARMING - 1) // RUNS
    ends = [1 + WARMING + run * size for run in range(RUNS + 1)]
    runs = []
    for begin, end in pairwise([1, *ends]):
        requests = [get(f"/recommendations?user_id=user-{user}&k=10") for user in range(begin, end)]
        runs.append(search.load_in_turns(urls, [requests, requests]))
    return [median([run.percentile(0.5) for run in of_shop]) for of_shop in zip(*runs[1:], strict=True)]


def rows(bench: Bench) -> list[Row]:
    """Load a shop of FACTOR times the products into a database of its own, and measure both shops in turns."""
    from local import data

    redis_of_larger = beside(bench.environment["REDIS_URL"])
    with scratch("aisle_bench_growth") as url_of_larger, configured(url_of_larger, redis_of_larger):
        data.load("synthetic", {"products": FACTOR * bench.products, "events": EVENTS, "users": USERS}, bench.say)
        run_jobs(bench.say)
        for table in TABLES:
            postgres.write(f"VACUUM (ANALYZE) {table}")
        with (
            bench.serving("recommendations") as of_small,
            bench.serving("recommendations", DATABASE_URL=url_of_larger, REDIS_URL=redis_of_larger) as of_large,
        ):
            small_p50, large_p50 = recommendations((of_small, of_large), (max(500, bench.events // 100), USERS))
        with (
            bench.serving("products") as of_small,
            bench.serving("products", DATABASE_URL=url_of_larger, REDIS_URL=redis_of_larger) as of_large,
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
        Row(
            "… computed recommendations, p50",
            large_p50 / small_p50,
            "×",
            1.3,
            at_most=True,
            note=f"{small_p50:.1f} to {large_p50:.1f} ms",
        ),
    ]
