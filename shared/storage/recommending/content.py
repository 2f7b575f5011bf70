"""Embeddings of descriptions: computed after products are written, in batches that nobody waits for.

docs/decisions/0043-content-after-commit.md.
"""

import time
from collections.abc import Sequence
from typing import Final

from shared.clients.postgres import Connection, execute, read, transaction
from shared.storage.catalog import search_index

# Products of one transaction: with long descriptions it takes about 0.2 s.
BATCH: Final = 100
# The words are counted anew when so many times more or fewer products are shown than at the last count.
GROWTH: Final = 1.25

REFRESH: Final = "SELECT refresh_content(cast(:product_ids AS bigint[]))"
COUNT_WORDS: Final = "SELECT count_content_words()"
OUTDATED: Final = """
SELECT s.shown > c.products * cast(:growth AS float8) OR s.shown * cast(:growth AS float8) < c.products
FROM content_counts c, (SELECT count(*) AS shown FROM products WHERE is_active) AS s"""
PENDING: Final = """
SELECT product_id, needs_words FROM content_pending ORDER BY product_id LIMIT :batch"""
DONE: Final = "DELETE FROM content_pending WHERE product_id = ANY (cast(:product_ids AS bigint[]))"
NEXT: Final = "SELECT id FROM products WHERE is_active AND id > :after ORDER BY id LIMIT :batch"


def refresh(connection: Connection, product_ids: Sequence[int] | None) -> int:
    """Recompute the embeddings of these products and return how many changed.

    None means all products, in one transaction; their words are then counted again.
    """
    ids = None if product_ids is None else list(product_ids)
    return int(execute(connection, REFRESH, {"product_ids": ids})[0][0])


def refresh_batches(product_ids: Sequence[int]) -> int:
    """Recompute the embeddings of these products in short transactions and return how many changed."""
    changed = 0
    for start in range(0, len(product_ids), BATCH):
        with transaction() as connection:
            changed += refresh(connection, product_ids[start : start + BATCH])
    return changed


def pending() -> int:
    """Return how many products wait for their embedding."""
    return int(read("SELECT count(*) FROM content_pending")[0][0])


def refresh_pending(deadline: float) -> int:
    """Compute the embeddings of products that wait for one, until the clock (time.monotonic) reaches ``deadline``.

    Returns for how many it did. Those whose words another writer kept out of the vocabulary get them first.
    """
    done = 0
    while time.monotonic() < deadline and (rows := read(PENDING, batch=BATCH)):
        ids = [int(row[0]) for row in rows]
        without_words = [int(row[0]) for row in rows if row[1]]
        if without_words:
            # separate transactions: each takes locks that other transactions take in another order
            with transaction() as connection:
                search_index.refresh_documents(connection, without_words)
            with transaction() as connection:
                search_index.refresh_vocabulary(connection, without_words)
        with transaction() as connection:
            refresh(connection, ids)
            execute(connection, DONE, {"product_ids": ids})
        done += len(ids)
    return done


def is_outdated() -> bool:
    """Return whether the words were counted in a much smaller or larger catalog."""
    rows = read(OUTDATED, growth=GROWTH)
    return not rows or bool(rows[0][0])


def recount(deadline: float | None = None) -> int:
    """Count the words of the catalog again and recompute all embeddings in batches; return how many changed.

    Ends early at ``deadline`` (time.monotonic); the products that are left have their former embeddings.
    """
    with transaction(statement_timeout_s=0) as connection:
        execute(connection, COUNT_WORDS)
    changed, after = 0, 0
    while deadline is None or time.monotonic() < deadline:
        ids = [int(row[0]) for row in read(NEXT, after=after, batch=BATCH)]
        if not ids:
            break
        changed += refresh_batches(ids)
        after = ids[-1]
    return changed
