"""What an operation costs, in processor time and bytes: ``python -m benchmarks.capacity`` writes delivery/costs.json.

The capacity plan (``./aisle simulate``) multiplies these figures. Processor time of the function's, PostgreSQL's and
Redis's processes is counted, and not how long an answer took, so that other work of the machine changes little.

Redis's share is that of a busy server with a replica (redis_replay.py). Memorystore encrypts by TLS, which the server
of the local system is built without: ``--tls-server`` names one that has it, such as that of Debian's package
redis-server. Without it, the shares of TLS stay as they are.
"""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.frame import Bench, make_topic, services
from benchmarks.ingest import event, push
from benchmarks.load import get, load, post
from benchmarks.metering import Meter, family
from benchmarks.plans import prepare
from benchmarks.redis_pair import pair
from benchmarks.redis_replay import REPLAYS, Recorded, Recorder, recording, snapshot
from benchmarks.search import BROWSES, SEARCHES, pages
from delivery.capacity_plan import COSTS_FILE
from local import valkey
from shared import clients, messages
from shared.clients import postgres, redis_sync
from shared.event_origin import Origin
from shared.http.limits import Limiter
from shared.storage.answers.protocol import PRODUCTS, product_key, user_key

COMMAND: Final = "python -m benchmarks.capacity"
RUNS: Final = 3
REQUESTS: Final = 200
WARMING: Final = 40
# The kernel counts processor time in hundredths of a second, which many stored answers share.
CACHED_REQUESTS: Final = 10 * REQUESTS
CONNECTIONS: Final = 4
# of instances, in the recording of rate limits
MERGES: Final = 10
# significant digits of a figure
DIGITS: Final = 3

EVENT_BYTES: Final = """
SELECT (SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('events'))::float8 / count(*) FROM events"""
PRODUCT_BYTES: Final = """
SELECT (SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(cast(:tables AS text[])) AS name)::float8
       / count(*) FROM products"""
USER_BYTES: Final = """
SELECT (pg_total_relation_size('users') + pg_total_relation_size('user_preferences'))::float8 / count(*) FROM users"""
VERSION_BYTES: Final = """
SELECT (SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('item_similarity'))::float8
       / (SELECT count(DISTINCT version) FROM item_similarity) / (SELECT count(*) FROM products)"""
LOG_BYTES: Final = """
SELECT pg_total_relation_size('recommendation_log')::float8 / count(*) FROM recommendation_log"""
# Carts of LINES products, each of a new shopper.
FILL_CARTS: Final = """
WITH shoppers AS (
    INSERT INTO users (external_id)
    SELECT :name || '-' || n FROM generate_series(0, cast(:carts AS integer) - 1) AS n RETURNING id
)
INSERT INTO cart_items (user_id, product_id, quantity, price_when_added)
SELECT s.id, p.id, 1, p.price FROM shoppers s CROSS JOIN generate_series(1, cast(:lines AS integer)) AS line
JOIN products p ON p.id = (SELECT min(id) FROM products) + mod(s.id * :lines + line, (SELECT count(*) FROM products))"""
LINES: Final = 3
# the count of a client that the rate limits of instances share
COUNTED: Final = "client_counted"
PRODUCT_TABLES: Final = ("products", "product_stats", "search_words", "catalog_counts", "trending_scores")


@dataclass(frozen=True)
class Operation:
    """An operation of a function; ``requests`` makes those of one run, which differ from those of every other run."""

    name: str
    function: str
    requests: Callable[[int], list[bytes]]


def operations(products: int) -> list[Operation]:
    """Return the operations of the plan's mix of requests, and those of the messages that follow."""

    def users(run: int, path: str) -> list[bytes]:
        first = 2 + (run + 1) * REQUESTS
        return [get(path.format(number)) for number in range(first, first + REQUESTS)]

    def product(run: int, number: int) -> int:
        return ((run + 1) * REQUESTS + number) * 7919 % products + 1

    def checkouts(run: int) -> list[bytes]:
        name = f"orders-{run + 1}"
        postgres.write(FILL_CARTS, name=name, carts=REQUESTS, lines=LINES)
        body = orjson.dumps({"payment_token": "benchmark"})
        return [
            post(f"/cart/checkout?user_id={name}-{number}", body, f"Idempotency-Key: {name}-{number}\r\n")
            for number in range(REQUESTS)
        ]

    def purchase(run: int, number: int) -> bytes:
        # every fifth event of benchmarks.ingest is a purchase
        return push(5 * ((run + 2) * REQUESTS + number) + 4, 1, products)

    return [
        Operation(
            "recommendations_cached",
            "recommendations",
            lambda _: [get("/recommendations?user_id=user-1&k=10")] * CACHED_REQUESTS,
        ),
        Operation(
            "recommendations_computed",
            "recommendations",
            lambda run: users(run, "/recommendations?user_id=user-{}&k=10"),
        ),
        Operation("trending_cached", "recommendations", lambda _: [get("/trending?k=10")] * CACHED_REQUESTS),
        Operation("product_cached", "products", lambda _: [get("/products/1")] * CACHED_REQUESTS),
        Operation(
            "product_computed",
            "products",
            lambda run: [get(f"/products/{product(run, number)}") for number in range(REQUESTS)],
        ),
        Operation("search", "products", lambda run: list(pages((*SEARCHES, *BROWSES), 100 + run))),
        Operation(
            "event_accepted",
            "events",
            lambda run: [
                post("/events", orjson.dumps(event(run * REQUESTS + number, products))) for number in range(REQUESTS)
            ],
        ),
        Operation(
            "event_applied",
            "update_preferences",
            lambda run: [push((run + 2) * REQUESTS + number, 1, products) for number in range(REQUESTS)],
        ),
        Operation(
            "purchase_counted",
            "update_popularity",
            lambda run: [purchase(run, number) for number in range(REQUESTS)],
        ),
        Operation(
            "cart_filled",
            "cart",
            lambda run: [
                post(
                    f"/cart/items?user_id=capacity-{run}-{number}",
                    orjson.dumps({"product_id": product(run, number), "quantity": 1}),
                )
                for number in range(REQUESTS)
            ],
        ),
        Operation("checkout", "cart", checkouts),
    ]


def measure(meter: Meter, url: str, operation: Operation) -> dict[str, float]:
    """Return the cost of one operation: medians over the runs, after one that is not counted."""
    if failures := load(url, operation.requests(-1)[:WARMING], connections=CONNECTIONS).failures:
        raise RuntimeError(f"{operation.name}: {failures} requests failed")
    runs: list[dict[str, float]] = []
    for run in range(RUNS):
        requests = operation.requests(run)
        before = meter.spent()
        measured = load(url, requests, connections=CONNECTIONS)
        if measured.failures:
            raise RuntimeError(f"{operation.name}: {measured.failures} requests failed")
        spent = meter.spent().minus(before)
        runs.append(
            {
                "function_ms": spent.function / len(requests) * 1000,
                "postgres_ms": spent.postgres / len(requests) * 1000,
                "redis_ms": spent.redis / len(requests) * 1000,
                "network_kib": spent.network / len(requests) / 1024,
            }
        )
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def record(recorder: Recorder, url: str, operation: Operation) -> Recorded:
    """Return what one more run writes to Redis. One request follows another, so that no two share a write."""
    requests = operation.requests(RUNS)[:REQUESTS]
    failures = load(url, requests[:WARMING], connections=1).failures
    state = snapshot(redis_sync.client())
    recorder.take()
    failures += load(url, requests[WARMING:], connections=1).failures
    if failures:
        raise RuntimeError(f"{operation.name}: {failures} requests failed")
    return Recorded(REQUESTS - WARMING, state, recorder.take())


def record_counts(recorder: Recorder) -> Recorded:
    """Return what the rate limits of instances write when each request comes from another client."""
    import uvloop

    async def count() -> None:
        for instance in range(MERGES):
            limiter = Limiter(f"capacity-{instance}")
            for client in range(REQUESTS):
                limiter.take(f"2001:db8::{client:x}")
            if limiter.task is None:
                raise RuntimeError("the rate limits are off")
            await limiter.task

    recorder.take()
    uvloop.run(count())
    recorded = Recorded(MERGES * REQUESTS, [], recorder.take())
    if sum(write.replies for write in recorded.writes) != 2 * recorded.requests:
        raise RuntimeError("rate limits bypassed Redis")
    return recorded


def redis_shares(recorded: Mapping[str, Recorded], tls_server: Path | None) -> dict[str, dict[str, float]]:
    """Return what a busy Redis spends on each operation, and with ``tls_server`` how much more it is with TLS."""
    with pair(valkey.program()) as servers:
        shares = {name: {"redis_ms": each.busy_ms(servers)} for name, each in recorded.items()}
    if tls_server is not None:
        with pair(tls_server, tls=True) as servers:
            for name, each in recorded.items():
                shares[name]["redis_tls_ms"] = each.busy_ms(servers, tls=True) - each.busy_ms(servers)
    return shares


def connection_bytes(server: int) -> float:
    """Return the memory of its own that a connection to PostgreSQL has once it has run the hot statements."""
    # "postgres: user database host(port) idle"
    titles = {process: "".join(process.cmdline()[:1]) for process in family(server)}
    sizes = [
        process.memory_full_info().uss
        for process, title in titles.items()
        if title.startswith("postgres: ") and "idle" in title
    ]
    return statistics.median(sizes)


def entry_sizes(measured: Collection[str]) -> dict[str, float]:
    """Return the bytes of the entries of Redis that the operations left; they are dropped or expire later."""
    redis = redis_sync.client()
    keys: dict[str, list[Any]] = {}
    if "recommendations_cached" in measured:
        keys["user_entry_bytes"] = [user_key("user-1")]
    if "product_cached" in measured:
        keys["product_entry_bytes"] = [product_key(1)]
    if "search" in measured:
        keys["search_entry_bytes"] = list(redis.scan_iter(f"{PRODUCTS}:page:*", count=10_000))
    sizes = {name: [size for key in found if (size := redis.memory_usage(key))] for name, found in keys.items()}
    return {name: float(statistics.median(found)) for name, found in sizes.items() if found}


def row_sizes(products: int, measured: Collection[str]) -> dict[str, float]:
    """Return the bytes of rows, with their indexes, and of a message."""
    data, attributes = messages.user_events(
        "user-1", [event(1, products) | {"event_id": "0" * 36, "timestamp": "x" * 32}], origin=Origin(client="0" * 16)
    )
    sizes = {
        "event_row_bytes": float(postgres.read(EVENT_BYTES)[0][0]),
        "product_row_bytes": float(postgres.read(PRODUCT_BYTES, tables=list(PRODUCT_TABLES))[0][0]),
        "user_row_bytes": float(postgres.read(USER_BYTES)[0][0]),
        "model_row_bytes": float(postgres.read(VERSION_BYTES)[0][0]),
        "message_bytes": float(len(data) + sum(len(key) + len(value) for key, value in attributes.items())),
    }
    if "recommendations_computed" in measured:
        sizes["log_row_bytes"] = float(postgres.read(LOG_BYTES)[0][0])
    return sizes


def rounded(value: float) -> float:
    """Return a value with DIGITS significant digits."""
    return float(f"{max(value, 0.0):.{DIGITS}g}")


def entry(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a measured entry of the file, with its command and day."""
    return {
        **{name: rounded(value) if isinstance(value, float) else value for name, value in values.items()},
        "command": COMMAND,
        "measured": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def write_costs(costs: Mapping[str, Mapping[str, Any]], sizes: Mapping[str, Mapping[str, Any]], about: str) -> None:
    """Replace the entries of the file that were measured now; entries of other commands stay."""
    known = json.loads(COSTS_FILE.read_text())
    known["about"] = about
    for name, values in costs.items():
        # a share of TLS that was not measured now is that of another run
        known["operations"][name] = known["operations"].get(name, {}) | values
    known["sizes"] |= sizes
    lines = ["{"]
    lines += [f'  "{name}": {json.dumps(known[name], ensure_ascii=False)},' for name in ("note", "about")]
    for section in ("operations", "sizes"):
        lines.append(f'  "{section}": {{')
        rows = [f'    "{name}": {json.dumps(values, ensure_ascii=False)}' for name, values in known[section].items()]
        lines.append(",\n".join(rows))
        lines.append("  }," if section == "operations" else "  }")
    COSTS_FILE.write_text("\n".join([*lines, "}"]) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("names", nargs="*", metavar="OPERATION", help="by default all; the entries of others stay")
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--tls-server", type=Path, metavar="PROGRAM", help="a redis-server that was built with TLS")
    chosen = parser.parse_args(arguments)

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with services(say) as running, recording(running.environment["REDIS_URL"]) as recorder:
        users = max(3000, chosen.events // 100)
        # every product has neighbours: the answers are those of a shop with much traffic
        prepare(chosen.products, users, chosen.events, say, every=1)
        # so that no order fails; and what the load left to do would be counted among the first operations
        postgres.write("UPDATE products SET quantity = 1000000, is_active = true")
        postgres.write("VACUUM (ANALYZE) products")
        postgres.write("CHECKPOINT")
        # a request that bypasses Redis on a busy machine is another operation
        running.environment["REDIS_TIMEOUT_S"] = os.environ["REDIS_TIMEOUT_S"] = "10"
        bench = Bench(dict(running.environment), chosen.products, chosen.events, say)
        for topic in (messages.USER_EVENTS, messages.CATALOG_CHANGES):
            make_topic(bench, topic)
        parts = {part.name: part.pid for part in running.parts}
        port = running.parts[0].port or 0
        listed = [
            operation
            for operation in operations(chosen.products)
            if operation.name in (chosen.names or [operation.name])
        ]
        costs: dict[str, dict[str, Any]] = {}
        sizes: dict[str, float] = {}
        recorded: dict[str, Recorded] = {}
        for function in dict.fromkeys(operation.function for operation in listed):
            with bench.serving(function, RATE_LIMIT_PER_MINUTE="0") as url:
                meter = Meter(function, parts, port)
                for operation in listed:
                    if operation.function == function:
                        costs[operation.name] = {"function": function, **measure(meter, url, operation)}
                        say(f"{operation.name}, Redis woken by each write: {costs[operation.name]}")
                sizes |= entry_sizes(set(costs))
                if function == "recommendations":
                    sizes["connection_bytes"] = connection_bytes(parts["PostgreSQL"])
            with bench.serving(function, RATE_LIMIT_PER_MINUTE="0", REDIS_URL=recorder.url) as url:
                for operation in listed:
                    if operation.function == function:
                        recorded[operation.name] = record(recorder, url, operation)
                        say(f"{operation.name}: {recorded[operation.name].shape()}")
        sizes |= row_sizes(chosen.products, set(costs))
        os.environ["REDIS_URL"] = recorder.url
        clients.reset()
        recorded[COUNTED] = record_counts(recorder)
    shares = redis_shares(recorded, chosen.tls_server)
    sizes |= {f"{COUNTED}_{name}": value for name, value in shares.pop(COUNTED).items()}
    for name, share in shares.items():
        costs[name] = entry(costs[name] | share)
        say(f"{name}: {costs[name]}")
    about = (
        f"Python {platform.python_version()}, {platform.machine()}, {chosen.products:,} products, {users:,} users, "
        f"{chosen.events:,} events; medians of {RUNS} runs of {REQUESTS} requests over {CONNECTIONS} connections; "
        f"Redis: medians of {REPLAYS} replays"
    )
    write_costs(costs, {name: entry({"value": value}) for name, value in sizes.items()}, about)
    print(f"wrote {COSTS_FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
