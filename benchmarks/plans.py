"""How PostgreSQL runs each hot statement in a large catalog: ``python -m benchmarks.plans [--products N]``.

The functions are served as deployed, the server logs the plan of every statement that a request runs (auto_explain),
and the command prints what the largest scan of each request read. Exit code 1 if a statement reads more than SMALL
rows of a table from its beginning to its end: its cost would grow with the table.
"""

import argparse
import json
import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.database import vacuum
from benchmarks.frame import Bench, make_topic, services
from benchmarks.ingest import push
from benchmarks.load import get, load, post

# A table of fewer rows is read faster from its beginning to its end than by an index.
SMALL: Final = 10_000
# It has a row for each combination of categories, price band and tag. A hundred times the products are three times as
# many of these (docs/decisions/0041-catalog-counts.md).
COMBINATIONS: Final = "catalog_counts"
# The planner may use a plan without the values from the sixth run of a prepared statement on.
REPETITIONS: Final = 8
# In a large catalog few products have the events that neighbours need: one of so many.
NEIGHBOURS_EVERY: Final = 5
NEIGHBOURS: Final = 20
TABLES: Final = ("products", "product_stats", "catalog_counts", "search_words", "users", "user_preferences", "events")
SETTINGS: Final = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_timing": "off",
    # Statements inside functions are not logged one by one: they are many, and the calling statement has their pages.
    "auto_explain.log_nested_statements": "off",
    "auto_explain.log_format": "json",
    "auto_explain.log_parameter_max_length": "0",
}
# Other work of the machine must not end a statement whose plan is wanted.
PATIENT_S: Final = "300"
ENTRY: Final = re.compile(rb"^\d{4}-\d\d-\d\d .*? LOG:  duration: [0-9.]+ ms  plan:\n((?:\t.*\n?)+)", re.MULTILINE)


@dataclass(frozen=True)
class Scan:
    """A node that reads a table: its kind, the table, the index if there is one, and the rows that it went through."""

    kind: str
    table: str
    index: str | None
    rows: int

    @property
    def is_large(self) -> bool:
        """Whether the node reads a table that grows with the shop from its beginning to its end."""
        return self.kind == "Seq Scan" and self.rows > SMALL and self.table != COMBINATIONS

    def __str__(self) -> str:
        return f"{self.kind} of {self.table}{f' by {self.index}' if self.index else ''}: {self.rows:,} rows"


@dataclass(frozen=True)
class Statement:
    """A statement that ran: its text, the pages of 8 KiB that it touched, and its scans."""

    sql: str
    pages: int
    scans: tuple[Scan, ...]


@dataclass(frozen=True)
class Hot:
    """A kind of request of a function; ``request`` makes the n-th of them."""

    name: str
    function: str
    request: Callable[[int], bytes]


def scans_of(plan: Mapping[str, Any]) -> Iterator[Scan]:
    """Yield the scans of a plan that were executed."""
    loops = int(plan.get("Actual Loops", 0))
    if loops and "Relation Name" in plan:
        removed = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        rows = round((float(plan["Actual Rows"]) + removed) * loops)
        yield Scan(plan["Node Type"], plan["Relation Name"], plan.get("Index Name"), rows)
    for child in plan.get("Plans", ()):
        yield from scans_of(child)


def statements_in(log: bytes) -> list[Statement]:
    """Return the statements whose plans a part of the server's log has."""
    found = []
    for entry in ENTRY.finditer(log):
        explained = json.loads(entry[1].replace(b"\n\t", b"\n"))
        plan = explained["Plan"]
        pages = int(plan.get("Shared Hit Blocks", 0)) + int(plan.get("Shared Read Blocks", 0))
        found.append(Statement(explained.get("Query Text", ""), pages, tuple(scans_of(plan))))
    return found


def log_plans() -> None:
    """Let the server log the plan of every statement of new sessions."""
    from shared.clients import postgres

    for name, value in SETTINGS.items():
        postgres.write(f"ALTER SYSTEM SET {name} = '{value}'")
    postgres.write("SELECT pg_reload_conf()")


def stop_logging_plans() -> None:
    """Let the server log no plan of new sessions any more."""
    from shared.clients import postgres

    for name in SETTINGS:
        postgres.write(f"ALTER SYSTEM RESET {name}")
    postgres.write("SELECT pg_reload_conf()")


def neighbour_rows(products: Sequence[int], every: int, seed: int = 1) -> Iterator[bytes]:
    """Yield rows of a model in which one product of ``every`` has NEIGHBOURS different random neighbours."""
    chance = random.Random(seed)
    scores = b",".join(b"%.3f" % (1 - place / (2 * NEIGHBOURS)) for place in range(NEIGHBOURS))
    counts = b",".join([b"3"] * NEIGHBOURS)
    for product in products[::every]:
        # each once, as in a trained model: an answer of /similar-products relies on it
        others = b",".join(b"%d" % other for other in chance.sample(products, NEIGHBOURS))
        yield b"%d\t{%b}\t{%b}\t{%b}\n" % (product, others, scores, counts)


def prepare(products: int, users: int, events: int, say: Callable[[str], None], every: int = NEIGHBOURS_EVERY) -> None:
    """Load a synthetic shop and complete it: lists, and a model of random neighbours.

    The job bought_together is left out: it would compute the embeddings of all products.
    """
    from datetime import UTC, datetime

    from jobs.popular import Popular, popular
    from jobs.trending import Trending, trending
    from local import data
    from shared.clients import postgres
    from shared.storage.recommending import models

    say(f"loading {products:,} products, {users:,} users and {events:,} events")
    data.load("synthetic", {"products": products, "users": users, "events": events, "categories": 100}, say)
    for entry, parameters in ((trending, Trending()), (popular, Popular())):
        say(f"{entry.__name__}: {entry.run(parameters)['seconds']} s")
    ids = [int(row[0]) for row in postgres.read("SELECT id FROM products ORDER BY id")]
    models.publish(
        job="similarity",
        started_at=datetime.now(UTC),
        algorithm="cosine",
        parameters={},
        metrics={},
        rows=neighbour_rows(ids, every),
    )
    for table in TABLES:
        say(f"VACUUM {table}")
        vacuum(table)


def hot_requests(products: int) -> list[Hot]:
    """Return the kinds of requests that come often, with values that differ from one to the next."""

    def product(number: int) -> int:
        return number * 7919 % products + 1

    def line(number: int) -> bytes:
        return orjson.dumps({"product_id": product(number), "quantity": 1})

    words = ("lantern", "lantren", "bamboo lamp", "vintage red kettel", "headph", "wood", "cookbok", "toaster")
    typed = ("l", "la", "lant", "lantr", "hea", "red ke", "vintage l", "toa")
    user = "/recommendations?user_id=user-{}&k=10"
    return [
        Hot("recommendations of a user", "recommendations", lambda n: get(user.format(n + 2))),
        Hot("… in stock", "recommendations", lambda n: get(f"{user.format(n + 20)}&in_stock=true")),
        Hot("… of a category", "recommendations", lambda n: get(f"{user.format(n + 40)}&category=Garden")),
        Hot("… with reasons", "recommendations", lambda n: get(f"{user.format(n + 60)}&explain=true")),
        Hot("… of a new visitor", "recommendations", lambda n: get(f"/recommendations?user_id=new-{n}&k=10")),
        Hot("similar products", "recommendations", lambda n: get(f"/similar-products?product_id={product(n)}")),
        Hot(
            "bought together",
            "recommendations",
            lambda n: get(f"/frequently-bought-together?product_id={product(n)}"),
        ),
        Hot("trending", "recommendations", lambda n: get(f"/trending?k={n % 90 + 10}")),
        Hot("recently viewed", "recommendations", lambda n: get(f"/recently-viewed?user_id=user-{n + 2}")),
        Hot("buy again", "recommendations", lambda n: get(f"/buy-again?user_id=user-{n + 2}")),
        Hot("search", "products", lambda n: get(f"/products?search={words[n % 8].replace(' ', '%20')}")),
        Hot("browsing a category", "products", lambda n: get(f"/products?category=Garden&page={n % 8 + 1}")),
        Hot("browsing by price", "products", lambda n: get(f"/products?min_price={n + 10}&sort=price_desc")),
        Hot("newest products", "products", lambda n: get(f"/products?sort=newest&max_price={10**6 + n}")),
        Hot("suggestions", "products", lambda n: get(f"/products/suggest?q={typed[n % 8].replace(' ', '%20')}")),
        Hot("one product", "products", lambda n: get(f"/products/{product(n)}")),
        Hot("categories", "products", lambda _: get("/products/categories")),
        Hot("adding to a cart", "cart", lambda n: post(f"/cart/items?user_id=plans-{n}", line(n))),
        Hot("a cart", "cart", lambda n: get(f"/cart?user_id=plans-{n}")),
        Hot(
            "checkout",
            "cart",
            lambda n: post(f"/cart/checkout?user_id=plans-{n}", b"{}", f"Idempotency-Key: plans-{n}\r\n"),
        ),
        Hot("an event applied", "update_preferences", lambda n: push(n, 1, products)),
    ]


def observe(bench: Bench, requests: Sequence[Hot], log: Path) -> dict[str, list[Statement]]:
    """Serve each function, send every kind of request REPETITIONS times, and return the statements of each kind."""
    found: dict[str, list[Statement]] = {}
    for function in dict.fromkeys(hot.function for hot in requests):
        with bench.serving(function, STATEMENT_TIMEOUT_S=PATIENT_S, DATABASE_TIMEOUT_S=PATIENT_S) as url:
            for hot in requests:
                if hot.function != function:
                    continue
                begin = log.stat().st_size
                sent = load(url, [hot.request(number) for number in range(REPETITIONS)], connections=1)
                with log.open("rb") as file:
                    file.seek(begin)
                    found[hot.name] = statements_in(file.read())
                bench.say(f"{hot.name}: {len(found[hot.name])} statements, {sent.failures} requests failed")
    return found


def table(found: Mapping[str, Sequence[Statement]]) -> str:
    """Return a row for each kind of request: its statements, the most pages of one, and its largest scan."""
    lines = ["| request | statements | pages | largest scan |", "|---|---:|---:|---|"]
    for name, statements in found.items():
        scans = [scan for statement in statements for scan in statement.scans]
        largest = max(scans, key=lambda scan: (scan.is_large, scan.rows), default=None)
        pages = max((statement.pages for statement in statements), default=0)
        lines.append(f"| {name} | {len(statements) / REPETITIONS:.1f} | {pages:,} | {largest or ''} |")
    return "\n".join(lines)


def sequential(found: Mapping[str, Sequence[Statement]]) -> list[str]:
    """Return a line for each large table that a request reads whole, with its statement."""
    return [
        f"{name}: {scan}\n  {' '.join(statement.sql.split())[:500]}"
        for name, statements in found.items()
        for statement in statements
        for scan in statement.scans
        if scan.is_large
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plans", description=__doc__)
    parser.add_argument("--products", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    chosen = parser.parse_args(arguments)

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    from shared import messages

    with services(say) as running:
        prepare(chosen.products, chosen.users, chosen.events, say)
        log_plans()
        bench = Bench(dict(running.environment), chosen.products, chosen.events, say)
        for topic in (messages.USER_EVENTS, messages.CATALOG_CHANGES):
            make_topic(bench, topic)
        found = observe(bench, hot_requests(chosen.products), running.parts[0].log)
    print(table(found))
    faults = sequential(found)
    for fault in dict.fromkeys(faults):
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
