"""Trending over a history of ten million events. The job reads the hourly rollup, not the events.

``python -m benchmarks.trending`` measures on the server of DATABASE_URL, in a database that it creates and drops.
"""

import json
import time
from typing import Any, Final

from benchmarks.database import scratch
from benchmarks.frame import RUNS, Bench, Row, median
from shared.clients import postgres
from shared.clients.postgres import execute, transaction

TARGET_S: Final = 5.0
EVENTS: Final = 10_000_000
PRODUCTS: Final = 10_000
DAYS: Final = 90
SEED: Final = 0.5

ADD_PRODUCTS: Final = """
INSERT INTO products (name, price, quantity)
SELECT 'product ' || n, mod(n, 100) + 0.99, 10 FROM generate_series(1, :products) AS n
"""
# Rows go straight into the rollup, which is all that the job reads, in the order of time. Popularity falls with the
# square of a uniform number; the types are views, additions to carts and purchases at 80, 15 and 5 %.
ADD_EVENTS: Final = """
INSERT INTO event_counts_hourly (hour, product_id, event_type, event_count)
SELECT hour, product_id, event_type, count(*) FROM (
    SELECT date_trunc('hour', now(), 'UTC') - make_interval(hours => floor(random() * 24 * :days)::integer) AS hour,
           (SELECT min(id) FROM products) + floor(power(random(), 2) * :products)::bigint AS product_id,
           CASE WHEN random() < 0.8 THEN 'view' WHEN random() < 0.75 THEN 'add_to_cart' ELSE 'purchase' END
               AS event_type
    FROM generate_series(1, :events)) AS happened
GROUP BY 1, 2, 3 ORDER BY 1
"""


def generate(events: int, products: int, days: int) -> int:
    """Fill the empty database with seeded random rows and return how many the rollup has."""
    with transaction(statement_timeout_s=0) as connection:
        execute(connection, "SELECT setseed(:seed)", {"seed": SEED})
        execute(connection, ADD_PRODUCTS, {"products": products})
        execute(connection, ADD_EVENTS, {"events": events, "products": products, "days": days})
        rollup_rows = int(execute(connection, "SELECT count(*) FROM event_counts_hourly")[0][0])
    postgres.write("VACUUM (ANALYZE) event_counts_hourly, products")
    return rollup_rows


def measure(events: int = EVENTS, products: int = PRODUCTS, days: int = DAYS) -> dict[str, Any]:
    """Run the job over a history of this size; return the seconds of each run, their median and the target."""
    from jobs.trending import Trending, trending

    with scratch("aisle_bench_trending"):
        rollup_rows = generate(events, products, days)
        durations_s = []
        for _ in range(RUNS):
            started = time.perf_counter()
            result = trending.run(Trending())
            durations_s.append(time.perf_counter() - started)
    return {
        "events": events,
        "days": days,
        "rollup_rows": rollup_rows,
        "products": result["products"],
        "seconds": [round(duration_s, 3) for duration_s in durations_s],
        "median_s": round(median(durations_s), 3),
        "target_s": TARGET_S,
    }


def rows(bench: Bench) -> list[Row]:
    """Measure both windows over ten million events, independent of the size of the benchmark's shop."""
    bench.say(f"trending: {EVENTS:,} events of {DAYS} days")
    result = measure(products=bench.products)
    note = f"{EVENTS:,} events of {DAYS} days ({result['rollup_rows']:,} rollup rows), both windows"
    return [Row("trending", result["median_s"], "s", TARGET_S, at_most=True, note=note)]


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
