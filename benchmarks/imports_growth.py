"""What a row of an import costs as the import grows: ``python -m benchmarks.imports_growth [PRODUCTS …]``.

Feeds of ``benchmarks.imports`` are imported by the job, each into a database of its own, while a price changes every
50 ms. Processor time is that of PostgreSQL's processes, the job and the function that changes prices; other work of the
machine changes it little.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.database import scratch
from benchmarks.frame import Bench, at_least_one, make_topic, services
from benchmarks.imports import WORDS, catalog, import_by_job, percentile
from benchmarks.metering import family, processor_s
from local.services import Services

SIZES: Final = (10_000, 100_000)
# whose prices change
LOADED: Final = 1_000


class Import(NamedTuple):
    """An import: its products, processor seconds and seconds, and the 95th percentile of the changes of prices."""

    products: int
    processor_s: float
    clock_s: float
    price_p95_ms: float


def spent_s(server: int) -> float:
    """Return the processor seconds of this process, of PostgreSQL, and of all that either has started."""
    return processor_s({each.pid: each for each in (*family(server), *family(os.getpid()))}.values())


def measure(running: Services, products: int, say: Callable[[str], None]) -> Import:
    """Load a small shop, import so many products, and return what that cost."""
    from local import data

    server = running.parts[0].pid
    with scratch("aisle_bench_imports") as url, tempfile.TemporaryDirectory(prefix="aisle-import-") as folder:
        data.load("synthetic", {"products": LOADED, "events": 1_000, "users": 100}, say)
        bench = Bench(running.environment | {"DATABASE_URL": url}, LOADED, 1_000, say)
        make_topic(bench, "catalog-changes")
        feed = Path(folder) / "feed.csv"
        feed.write_bytes(catalog(products, WORDS, "J"))
        with bench.serving("products") as address:
            say(f"importing {products:,} products")
            before = spent_s(server)
            clock_s, times = import_by_job(bench, address, feed, products)
            spent = spent_s(server) - before
    return Import(products, spent, clock_s, percentile(times, 0.95))


def table(imports: Sequence[Import]) -> str:
    """Return a row for each size."""
    lines = [
        "| products | processor s | ms a product | clock s | changes of prices, p95, ms |",
        "|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {each.products:,} | {each.processor_s:.1f} | {each.processor_s / each.products * 1000:.2f} "
        f"| {each.clock_s:.1f} | {each.price_p95_ms:.1f} |"
        for each in imports
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports_growth", description=__doc__)
    parser.add_argument("sizes", nargs="*", type=at_least_one, metavar="PRODUCTS", help="default: 10000 100000")
    chosen = parser.parse_args(arguments)

    def say(line: str) -> None:
        print(f"{datetime.now(UTC):%H:%M:%S} {line}", file=sys.stderr, flush=True)

    with services(say) as running:
        print(table([measure(running, products, say) for products in chosen.sizes or SIZES]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
