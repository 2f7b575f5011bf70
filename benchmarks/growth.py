"""How search, browsing and suggestions slow down when the catalog is ten times as large, on one machine in one run."""

import os
from urllib.parse import urlsplit, urlunsplit

from benchmarks import search
from benchmarks.frame import Bench, Row

FACTOR = 10
DATABASE = "growth"
# the second shop is measured for its catalog, not for its history
EVENTS = 100_000


def measure_larger_shop(bench: Bench) -> dict[str, tuple[float, float]]:
    """Load a shop of FACTOR times the products into a database of its own, and measure it."""
    from local import data
    from shared import clients
    from shared.clients import postgres
    from shared.storage.schema.migrations import migrate

    own = os.environ["DATABASE_URL"]
    larger = urlunsplit(urlsplit(own)._replace(path=f"/{DATABASE}"))
    postgres.write(f"DROP DATABASE IF EXISTS {DATABASE}")
    postgres.write(f"CREATE DATABASE {DATABASE}")
    os.environ["DATABASE_URL"] = larger
    clients.reset()
    try:
        migrate()
        data.load("synthetic", {"products": FACTOR * bench.products, "events": EVENTS, "users": 1000}, bench.say)
        for table in ("products", "product_stats", "catalog_counts", "search_words"):
            postgres.write(f"VACUUM (ANALYZE) {table}")
        with bench.serving("products", DATABASE_URL=larger) as url:
            return search.measure(url, FACTOR * bench.products)
    finally:
        os.environ["DATABASE_URL"] = own
        clients.reset()


def rows(bench: Bench) -> list[Row]:
    """Measure the shop and one of ten times its products, and compare."""
    with bench.serving("products") as url:
        small = search.measure(url, bench.products)
    large = measure_larger_shop(bench)

    def note(name: str, place: int) -> str:
        return f"{small[name][place]:.1f} to {large[name][place]:.1f} ms"

    def ratio(name: str, place: int) -> float:
        return large[name][place] / small[name][place]

    size = f"from {bench.products:,} to {FACTOR * bench.products:,} products"
    return [
        Row(f"product search, p50 at {FACTOR * bench.products:,} products", large["search"][0], "ms", 30, at_most=True),
        Row(f"search {size}, p95", ratio("search", 1), "×", 2, at_most=True, note=note("search", 1)),
        Row("… browsing without a text, p50", ratio("browse", 0), "×", 2, at_most=True, note=note("browse", 0)),
        Row("… suggestions, p95", ratio("suggestion", 1), "×", 2, at_most=True, note=note("suggestion", 1)),
    ]
