"""Segments of 100,000 users: the job from its first statement to its last, with its peak memory.

``python -m benchmarks.segments`` measures on the server of DATABASE_URL, in a database that it creates and drops.
"""

import json
import os
import resource
import subprocess
import sys
import time
from typing import Any, Final

from benchmarks.database import scratch
from benchmarks.frame import Bench, Row
from benchmarks.trending import ADD_PRODUCTS, SEED
from local.places import ROOT
from shared.clients import postgres
from shared.clients.postgres import execute, transaction

TARGET_S: Final = 120.0
# half of what the deployed job has
TARGET_MB: Final = 1024.0
USERS: Final = 100_000
EVENTS: Final = 1_000_000
PRODUCTS: Final = 10_000
CATEGORIES: Final = 50

FILL: Final = (
    "INSERT INTO categories (name) SELECT 'category ' || n FROM generate_series(1, :categories) AS n",
    "UPDATE products SET category_id = (SELECT min(id) FROM categories) + mod(id, cast(:categories AS bigint))",
    "INSERT INTO users (external_id) SELECT 'u' || n FROM generate_series(1, :users) AS n",
    # A few users have most events. Each likes three categories; one event of five is of another. Views, additions to
    # the cart and purchases at 80, 15 and 5 %.
    """INSERT INTO events (event_id, user_id, product_id, event_type, occurred_at)
    SELECT gen_random_uuid(), (SELECT min(id) FROM users) + u,
           (SELECT min(id) FROM products) + mod(category + c * floor(random() * p / c)::bigint, p),
           CASE WHEN random() < 0.8 THEN 'view' WHEN random() < 0.75 THEN 'add_to_cart' ELSE 'purchase' END,
           now() - make_interval(secs => (mod(u, 300) + random() * 60) * 86400)
    FROM (SELECT u, p, c, CASE WHEN random() < 0.8 THEN mod(u * 7 + floor(random() * 3)::bigint, c)
                               ELSE floor(random() * c)::bigint END AS category
          FROM (SELECT floor(power(random(), 2) * cast(:users AS bigint))::bigint AS u,
                       cast(:products AS bigint) AS p, cast(:categories AS bigint) AS c
                FROM generate_series(1, cast(:events AS integer))) AS drawn) AS liked""",
    """INSERT INTO user_preferences (user_id, kind, key, score, as_of)
    SELECT e.user_id, 'category', p.category_id::text, count(*), max(e.occurred_at)
    FROM events e JOIN products p ON p.id = e.product_id GROUP BY 1, 3""",
)


def measure(users: int = USERS, events: int = EVENTS, products: int = PRODUCTS) -> dict[str, Any]:
    """Fill a database, run the job twice, and return the seconds of the first run and the peak memory."""
    from jobs.segments import Segments, segments

    sizes = {"users": users, "events": events, "products": products, "categories": CATEGORIES}
    with scratch("aisle_bench_segments"):
        with transaction(statement_timeout_s=0) as connection:
            execute(connection, "SELECT setseed(:seed)", {"seed": SEED})
            for statement in (ADD_PRODUCTS, *FILL):
                execute(connection, statement, {name: size for name, size in sizes.items() if f":{name}" in statement})
        postgres.write("VACUUM (ANALYZE) events, users, user_preferences, products")
        started = time.perf_counter()
        result = segments.run(Segments())
        seconds = time.perf_counter() - started
        again = segments.run(Segments())
    return {
        "users": result["users"],
        "events": events,
        "segments": result["segments"],
        "seconds": round(seconds, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "moved_by_second_run": sum(segment["joined"] for segment in again["segments"]),
    }


def rows(bench: Bench) -> list[Row]:
    """Measure in a process of its own, so that the peak of memory is the job's."""
    bench.say(f"segments: {USERS:,} users, {EVENTS:,} events")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.segments"],
        cwd=ROOT,
        env=os.environ | bench.environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout)
    note = f"{result['users']:,} users with an event, {EVENTS:,} events, {len(result['segments'])} segments"
    return [
        Row("segments", result["seconds"], "s", TARGET_S, at_most=True, note=note),
        Row("… peak memory", result["peak_mb"], "MB", TARGET_MB, at_most=True),
        Row("… users moved by a second run", result["moved_by_second_run"], "users", 0, at_most=True),
    ]


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
