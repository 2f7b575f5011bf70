"""Checkout: complete orders over HTTP from 16 clients, beside the least that an order costs the same Postgres."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import orjson

from benchmarks.frame import RUNS, Bench, Row, make_topic, median
from benchmarks.load import load, post
from shared import messages
from shared.clients.postgres import read, write

CLIENTS = 16
ORDERS = 400
LINES = 3
REFERENCE_S = 2.0

FILL = """
WITH shoppers AS (
    INSERT INTO users (external_id)
    SELECT :name || '-' || n FROM generate_series(0, cast(:orders AS integer) - 1) AS n RETURNING id
)
INSERT INTO cart_items (user_id, product_id, quantity, price_when_added)
SELECT s.id, p.id, 1, p.price FROM shoppers s
CROSS JOIN LATERAL (SELECT id, price FROM products WHERE s.id > 0 ORDER BY random() LIMIT :lines) AS p"""


def carts(name: str) -> list[bytes]:
    """Fill the carts of new shoppers and return a request to buy each."""
    write(FILL, name=name, orders=ORDERS, lines=LINES)
    body = orjson.dumps({"payment_token": "benchmark"})
    return [
        post(f"/cart/checkout?user_id={name}-{number}", body, f"Idempotency-Key: {name}-{number}\r\n")
        for number in range(ORDERS)
    ]


def bare_commits(bench: Bench) -> tuple[float, float]:
    """Commit an UPDATE of a product and an INSERT over CLIENTS connections; return commits/s and the p95 in ms."""
    from pg8000.native import Connection
    from sqlalchemy import make_url

    address = make_url(bench.environment["DATABASE_URL"])
    write("CREATE TABLE IF NOT EXISTS bench_rows (id bigint GENERATED ALWAYS AS IDENTITY, data text)")
    start_line = threading.Barrier(CLIENTS)

    def client(seed: int) -> list[float]:
        chance = random.Random(seed)
        connection = Connection(
            address.username or "",
            host=address.host or "",
            port=address.port or 5432,
            database=address.database,
            password=address.password,
        )
        update = connection.prepare("UPDATE products SET quantity = quantity - 1 WHERE id = :id")
        insert = connection.prepare("INSERT INTO bench_rows (data) VALUES (:data)")
        start_line.wait()
        latencies_ms = []
        end = time.perf_counter() + REFERENCE_S
        while (begun := time.perf_counter()) < end:
            connection.run("BEGIN")
            update.run(id=chance.randint(1, bench.products))
            insert.run(data="x" * 200)
            connection.run("COMMIT")
            latencies_ms.append((time.perf_counter() - begun) * 1000)
        connection.close()
        return latencies_ms

    with ThreadPoolExecutor(CLIENTS) as pool:
        latencies_ms = sorted(latency for part in pool.map(client, range(CLIENTS)) for latency in part)
    return len(latencies_ms) / REFERENCE_S, latencies_ms[int(len(latencies_ms) * 0.95)]


def rows(bench: Bench) -> list[Row]:
    """Buy carts of three lines. Each order is three transactions, two of them after the payment call."""
    for topic in (messages.USER_EVENTS, messages.CATALOG_CHANGES):
        make_topic(bench, topic)
    write("UPDATE products SET quantity = 1000000, is_active = true")
    write("ANALYZE products")
    rates, p95s, bare_rates, bare_p95s = [], [], [], []
    # 16 clients of one address would have the share of one (shared/gates.py)
    with bench.serving("cart", RATE_LIMIT_PER_MINUTE="0") as url:
        load(url, carts("warm"), connections=CLIENTS)
        for run in range(RUNS):
            rate, p95 = bare_commits(bench)
            bare_rates.append(rate)
            bare_p95s.append(p95)
            measured = load(url, carts(f"run-{run}"), connections=CLIENTS)
            if measured.failures:
                raise RuntimeError(f"{measured.failures} checkouts failed")
            rates.append(measured.per_second)
            p95s.append(measured.percentile(0.95))
    paid = int(read("SELECT count(*) FROM orders WHERE state = 'paid'")[0][0])
    if paid != ORDERS * (RUNS + 1):
        raise RuntimeError(f"{paid} orders were paid, not {ORDERS * (RUNS + 1)}")
    return [
        Row(
            "checkout, one process",
            median(rates),
            "orders/s",
            note=f"{CLIENTS} clients, {LINES} lines, {bench.products:,} products",
        ),
        Row("… p95", median(p95s), "ms"),
        Row(
            "… against committing one UPDATE and one INSERT",
            median(rates) / median(bare_rates),
            "×",
            note=f"{median(bare_rates):,.0f}/s, p95 {median(bare_p95s):.1f} ms, {CLIENTS} connections",
        ),
    ]
