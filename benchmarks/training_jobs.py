"""What the jobs around a training need as a shop grows: ``python -m benchmarks.training_jobs``.

For each number of events (``--events``), a shop is loaded into a database of its own, with users and products drawn
from power laws. Its events are counted and exported as for Spark, and the job ``similarity`` trains it on one machine.
For each number of products (``--products``), the result of a training on Spark is published, for a single model and for
a mixture. Every job runs in a process of its own. Processor seconds are the job's; those of PostgreSQL stand beside
them.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.database import scratch, vacuum
from benchmarks.frame import services
from benchmarks.metering import family, processor_s
from benchmarks.spark import DAYS, EVENTS_OF_A_PRODUCT, EVENTS_OF_A_USER
from jobs.tuning.fitting import NEIGHBOURS

EVENTS: Final = (1_000_000, 10_000_000)
PRODUCTS: Final = (100_000, 1_000_000)
# files that Spark writes for a model
PARTS: Final = 64
# models of the mixture that is published
MIXED: Final = 3
# predicted processor seconds for tuning
BUDGET_S: Final = 60
INSERTED: Final = 1_000_000
SEED: Final = 3

# Rank r of n has a share of about r^-0.8 of the products' events, and r^-0.6 of the users'.
LOAD_PRODUCTS: Final = """
INSERT INTO products (external_id, name, price) SELECT 'p-' || n, 'product ' || n, 10
FROM generate_series(1, cast(:n AS integer)) AS n"""
LOAD_USERS: Final = """
INSERT INTO users (external_id) SELECT 'u-' || n FROM generate_series(1, cast(:n AS integer)) AS n"""
LOAD_EVENTS: Final = """
INSERT INTO events (event_id, user_id, product_id, event_type, occurred_at)
SELECT lpad(to_hex(:first + n), 32, '0')::uuid,
       (SELECT min(id) FROM users) + floor(:users * power(random(), 2.5)),
       (SELECT min(id) FROM products) + floor(:products * power(random(), 5)),
       (ARRAY['view', 'view', 'view', 'view', 'add_to_cart', 'purchase'])[1 + floor(random() * 6)::integer],
       now() - make_interval(days => :days) * (1 - (:first + n) / cast(:events AS float8))
FROM generate_series(1, cast(:n AS integer)) AS n"""
# random places in an index take most of the time of a large load
INDEX: Final = "events_of_user"
INDEX_DEFINITION: Final = "SELECT pg_get_indexdef(cast(:name AS regclass))"


def load_shop(events: int, say: Callable[[str], None]) -> None:
    """Load a shop with this many events of the last DAYS days."""
    from shared.clients import postgres

    users, products = max(1, events // EVENTS_OF_A_USER), max(1, events // EVENTS_OF_A_PRODUCT)
    with postgres.transaction(statement_timeout_s=0) as connection:
        # neither search nor counts of the catalog are measured
        postgres.execute(connection, "SET LOCAL session_replication_role = replica")
        postgres.execute(connection, "SELECT setseed(0.5)")
        months = "SELECT ensure_event_partitions((now() - make_interval(days => :days))::date, now()::date)"
        postgres.execute(connection, months, {"days": DAYS})
        postgres.execute(connection, LOAD_PRODUCTS, {"n": products})
        postgres.execute(connection, LOAD_USERS, {"n": users})
        definition = postgres.execute(connection, INDEX_DEFINITION, {"name": INDEX})[0][0]
        postgres.execute(connection, f"DROP INDEX {INDEX}")
    for first in range(0, events, INSERTED):
        with postgres.transaction(statement_timeout_s=0) as connection:
            values = {"first": first, "n": min(INSERTED, events - first), "users": users, "products": products}
            postgres.execute(connection, LOAD_EVENTS, values | {"days": DAYS, "events": events})
        say(f"loaded {min(first + INSERTED, events):,} of {events:,} events")
    with postgres.transaction(statement_timeout_s=0) as connection:
        postgres.execute(connection, definition)
    vacuum("events")


def write_result(folder: Path, products: int, models: int) -> None:
    """Write neighbours as a batch would: of random products, in PARTS files for each model."""
    rng = np.random.default_rng(SEED)
    for model in range(models):
        (output := folder / "neighbours" / f"model={model}").mkdir(parents=True)
        for part in range(PARTS):
            own = np.arange(part, products, PARTS, dtype=np.int64)
            others = (
                own[:, None] + rng.integers(1, products // NEIGHBOURS, (len(own), NEIGHBOURS)).cumsum(1)
            ) % products
            scores = -np.sort(-rng.random((len(own), NEIGHBOURS), np.float32), axis=1)
            counts = rng.integers(2, 100, others.size).astype(np.int32)
            columns = {
                "product_id": np.repeat(own, NEIGHBOURS) + 1,
                "neighbour_id": others.ravel() + 1,
                "score": scores.ravel(),
                "co_occurrence": counts,
            }
            pq.write_table(pa.table(columns), output / f"part-{part:05}.parquet")
        (output / "_SUCCESS").touch()


def run_job(name: str, argument: str) -> dict[str, Any]:
    """Run one job in this process: the child of ``measure``."""
    if name == "similarity":
        from jobs.similarity import Similarity, similarity

        answer = similarity.run(Similarity(time_budget_s=BUDGET_S))
        return {key: answer[key] for key in ("outcome", "algorithm", "events", "users", "products")}
    if name == "count":
        from shared.storage.events import interactions

        return {"events": interactions.estimate_size(datetime.now(UTC) - timedelta(days=DAYS)).events}
    if name == "export":
        from jobs.spark.submission import write_events

        folder, events = argument.rsplit("#", 1)
        return {"events": write_events(folder, datetime.now(UTC) - timedelta(days=DAYS), events=int(events))}
    from jobs.finish_training import publish
    from jobs.spark.submission import PreparedTraining
    from shared.storage.operations.training_batches import TrainingBatch

    batch, models = argument.split(":")
    model = {"algorithm": "cosine", "parameters": {"min_co_occurrence": 2}, "weighting": {}}
    training = PreparedTraining(
        [model] * int(models), [1 / int(models)] * int(models), "cosine", {}, {}, {}, mean_score=0.5
    )
    now = datetime.now(UTC)
    answer = publish(TrainingBatch(batch, "similarity", now, now, None, None, None, vars(training)), training)
    return {"outcome": answer["outcome"], "products": answer["products_with_neighbours"]}


def measure(name: str, argument: str, server: int, environment: dict[str, str]) -> dict[str, Any]:
    """Run a job in a process of its own; return its answer, its peak memory, and what it and PostgreSQL spent."""
    before, started = processor_s(family(server)), time.perf_counter()
    command = [sys.executable, "-P", "-m", "benchmarks.training_jobs", "--child", name, argument]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} {argument} failed:\n{done.stderr[-2000:]}")
    postgres_s = processor_s(family(server)) - before
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"job": name, "clock_s": time.perf_counter() - started, "postgres_s": postgres_s} | answer


def report(row: dict[str, Any]) -> None:
    """Print a row of the table in Markdown."""
    print(
        f"| {row['job']} | {row['size']} | {row['cpu_s']:,.0f} | {row['postgres_s']:,.0f} | {row['clock_s']:,.0f} "
        f"| {row['peak_mb']:,.0f} |",
        flush=True,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_jobs", description=__doc__)
    parser.add_argument(
        "--events", type=int, nargs="*", default=list(EVENTS), help="sizes of shops to train and export"
    )
    parser.add_argument("--products", type=int, nargs="*", default=list(PRODUCTS), help="sizes of results to publish")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        answer = run_job(*options.child)
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps(answer | {"cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1000}))
        return 0

    def say(line: str) -> None:
        print(f"{datetime.now(UTC):%H:%M:%S} {line}", file=sys.stderr, flush=True)

    print("| job | size | processor s | PostgreSQL s | clock s | peak MB |")
    print("|---|---:|---:|---:|---:|---:|")
    with services(say) as running, tempfile.TemporaryDirectory() as folder:
        server = running.parts[0].pid
        for events in options.events:
            with scratch("aisle_bench_training") as url:
                load_shop(events, say)
                own = {"DATABASE_URL": url}
                report(measure("count", "", server, own) | {"size": f"{events:,} events"})
                export = measure("export", f"file://{folder}/{events}#{events}", server, own)
                report(export | {"size": f"{export['events']:,} events"})
                pairs = count_pairs()
                trained = measure("similarity", "", server, own)
                report(trained | {"size": f"{pairs:,} pairs, {trained['products']:,} products"})
                say(f"{trained}")
        where = {
            "location": "europe-west1",
            "folder": f"file://{folder}",
            "image": "none",
            "subnetwork": "none",
            "service_account": "none@shop.iam.gserviceaccount.com",
        }
        for products in options.products:
            for models in (1, MIXED):
                batch = f"result-{products}-{models}"
                write_result(Path(folder) / batch, products, models)
                with scratch("aisle_bench_training") as url:
                    own = {"DATABASE_URL": url, "SPARK_BATCHES": json.dumps(where)}
                    row = measure("publish", f"{batch}:{models}", server, own)
                size = f"{row['products']:,} products, {models} model{'s' if models > 1 else ''}"
                report(row | {"size": size})
    return 0


def count_pairs() -> int:
    """Return the number of distinct pairs of user and product in the events."""
    from shared.storage.events import interactions

    return interactions.estimate_size(None, one_in=1).pairs


if __name__ == "__main__":
    sys.exit(main())
