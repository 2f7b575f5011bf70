"""What the nights of the job bought_together cost as products change: ``python -m benchmarks.content [--products N]``.

A catalog of long descriptions is written into an empty shop and embedded by a first night. Nights follow before which
nothing changed, one percent of the descriptions, and a tenth. Processor time is that of PostgreSQL's processes and of
the job. The longest transaction is the longest that was seen while the job ran, looked at once a second. Catalogs
of all sizes count as large.
"""

import argparse
import csv
import io
import os
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from benchmarks.frame import at_least_one, services
from benchmarks.imports import catalog
from benchmarks.metering import family, processor_s

PRODUCTS: Final = 100_000
WORDS: Final = 200
LOOK_EVERY_S: Final = 1.0
CHUNK: Final = 500
ADD: Final = """
INSERT INTO products (external_id, name, price, category_id, description)
SELECT a.external_id, a.name, 1, c.id, a.description
FROM unnest(cast(:external_ids AS text[]), cast(:names AS text[]), cast(:categories AS text[]),
            cast(:descriptions AS text[])) AS a(external_id, name, category, description)
JOIN categories c ON c.name = a.category"""
# so that a change takes a product of every part of the catalog
CHANGE: Final = """
UPDATE products SET description = reverse(description)
WHERE mod(id, 1000) < cast(:share AS float8) * 1000"""
# transactions of this database but the one that asks
LONGEST: Final = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""


class Night(NamedTuple):
    """What a night cost: processor seconds, seconds, and those of its longest transaction; and its result."""

    name: str
    processor_s: float
    clock_s: float
    longest_s: float
    result: dict[str, Any]


class Watch(threading.Thread):
    """Looks how old the oldest transaction is, until it is ended."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._ended = threading.Event()
        self.longest_s = 0.0

    def run(self) -> None:
        """Look."""
        from shared.clients import postgres

        while not self._ended.wait(LOOK_EVERY_S):
            self.longest_s = max(self.longest_s, float(postgres.read(LONGEST)[0][0]))

    def end(self) -> float:
        """Stop and return the greatest age, in seconds."""
        self._ended.set()
        self.join()
        return self.longest_s


def spend_night(name: str, server: int) -> Night:
    """Run the job and return what it cost."""
    from jobs.bought_together import BoughtTogether, bought_together
    from shared.storage.recommending import content_renewal

    content_renewal.SMALL_CATALOG = 0  # type: ignore[misc]  # a constant elsewhere
    watch = Watch()
    before = processor_s(family(server)) + sum(os.times()[:2])
    watch.start()
    result = bought_together.run(BoughtTogether())
    longest_s = watch.end()
    spent = processor_s(family(server)) + sum(os.times()[:2]) - before
    return Night(name, spent, float(result["seconds"]), longest_s, result)


def add_products(products: int) -> None:
    """Fill the shop with the products of ``benchmarks.imports``, in chunks and without messages."""
    from shared.clients import postgres
    from shared.clients.postgres import execute, transaction

    rows = list(csv.DictReader(io.StringIO(catalog(products, WORDS, "C").decode())))
    postgres.write("INSERT INTO categories (name) SELECT 'C' || n FROM generate_series(0, 49) AS n")
    for begin in range(0, len(rows), CHUNK):
        chunk = rows[begin : begin + CHUNK]
        # without a limit: a machine may be busy
        with transaction(statement_timeout_s=0) as connection:
            execute(
                connection,
                ADD,
                {
                    "external_ids": [row["external_id"] for row in chunk],
                    "names": [row["name"] for row in chunk],
                    "categories": [row["category"].rpartition(" ")[2] for row in chunk],
                    "descriptions": [row["description"] for row in chunk],
                },
            )


def measure(products: int, server: int, say: Any) -> list[Night]:
    """Add a catalog and return its nights."""
    from shared.clients import postgres
    from shared.clients.postgres import execute, transaction

    say(f"adding {products:,} products of {WORDS} words")
    add_products(products)
    nights = [spend_night("the first", server)]
    say(str(nights[-1]))
    for name, share in (("nothing changed", 0.0), ("1 % changed", 0.01), ("10 % changed", 0.1)):
        with transaction(statement_timeout_s=0) as connection:
            execute(connection, CHANGE, {"share": share})
        postgres.write("CHECKPOINT")
        nights.append(spend_night(name, server))
        say(str(nights[-1]))
    return nights


def table(nights: Sequence[Night]) -> str:
    """Return a row for each night."""
    lines = [
        "| night | processor s | clock s | longest transaction, s | embeddings written | left |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for night in nights:
        written, left = night.result["embeddings_changed"], night.result.get("embeddings_left", 0)
        lines.append(
            f"| {night.name} | {night.processor_s:.1f} | {night.clock_s:.1f} | {night.longest_s:.1f} "
            f"| {written:,} | {left:,} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.content", description=__doc__)
    parser.add_argument("--products", type=at_least_one, default=PRODUCTS)
    chosen = parser.parse_args(arguments)

    def say(line: str) -> None:
        print(f"{datetime.now(UTC):%H:%M:%S} {line}", file=sys.stderr, flush=True)

    with services(say) as running:
        print(table(measure(chosen.products, running.parts[0].pid, say)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
