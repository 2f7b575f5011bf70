"""Embeddings of descriptions: computed after products are written, in batches that no request waits for.

docs/decisions/0043-content-after-commit.md.
"""

from collections.abc import Sequence
from typing import Any, Final

from shared.clients.postgres import Connection, execute, read, transaction
from shared.storage.catalog import bulk_writes, search_index

# Products of one transaction: with long descriptions it takes about 0.2 s.
BATCH: Final = 100
# Before the night, words are counted anew when so many times more or fewer products are shown than at the last count.
# An import into an empty shop thus computes at most twice as many embeddings as it has products.
GROWTH: Final = 2
# A larger catalog is counted by the job of the night, in steps: one statement would take longer than a message may.
COUNTED_AT_ONCE: Final = 100_000

REFRESH: Final = "SELECT refresh_content(cast(:product_ids AS bigint[]))"
COUNT_WORDS: Final = "SELECT count_content_words()"
OUTDATED: Final = """
SELECT s.shown <= cast(:counted_at_once AS bigint)
   AND (s.shown > c.products * cast(:growth AS float8) OR s.shown * cast(:growth AS float8) < c.products)
FROM content_counts c, (SELECT count(*) AS shown FROM products WHERE is_active) AS s"""
PENDING: Final = """
SELECT product_id, needs_words FROM content_pending ORDER BY product_id LIMIT :batch"""
IS_ANY_PENDING: Final = """
SELECT EXISTS (SELECT FROM content_pending c JOIN products p ON p.id = c.product_id WHERE p.is_active)"""
WORDS_ARE_KNOWN: Final = """
UPDATE content_pending SET needs_words = false
WHERE product_id = ANY (cast(:product_ids AS bigint[])) AND needs_words"""
LOCK: Final = "SELECT lock_content()"
SHOWN: Final = "SELECT id FROM products WHERE is_active ORDER BY id"


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
    """Return how many new products wait for their embedding."""
    return int(read("SELECT count(*) FROM content_pending")[0][0])


def refresh_next_pending() -> list[int]:
    """Compute the embeddings of some products that wait for one, and return which; none if no product waits.

    Those whose words another writer kept out of the vocabulary get them first.
    """
    rows = read(PENDING, batch=BATCH)
    ids = [int(row[0]) for row in rows]
    without_words = [int(row[0]) for row in rows if row[1]]
    if without_words:
        # separate transactions: each takes locks that other transactions take in another order
        with transaction() as connection:
            search_index.refresh_documents(connection, without_words)
        with transaction() as connection:
            search_index.refresh_vocabulary(connection, without_words)
            end_wait_for_words(connection, without_words)
    if ids:
        refresh_batches(ids)
    return ids


def refresh_pending() -> None:
    """Compute the embeddings of all products that wait for one."""
    while refresh_next_pending():
        pass


def end_change_of_language() -> int:
    """Index what a change of the search language has left; return how many products that were.

    ``refresh_catalog`` indexes the products that its messages name. A product whose transaction began before the change
    and committed after it may not be among them, and search would ask in both languages for ever.
    """
    total = 0
    while True:
        with transaction() as connection:
            ids = search_index.list_in_another_language(connection, BATCH)
            if not ids:
                search_index.end_change_of_language(connection)
                return total
            search_index.refresh_language(connection, ids)
        refresh_batches(ids)
        total += len(ids)


def end_wait_for_words(connection: Connection, product_ids: Sequence[int]) -> None:
    """Note that the words of these products are in the vocabulary: they wait for their embeddings alone."""
    execute(connection, WORDS_ARE_KNOWN, {"product_ids": list(product_ids)})


def is_outdated() -> bool:
    """Return whether the words were counted in a much smaller or larger catalog, and no product waits.

    While products wait, an import may be on its way, and its last message finds the words outdated. A large catalog is
    left to the night.
    """
    if read(IS_ANY_PENDING)[0][0]:
        return False
    return _needs_count(read(OUTDATED, growth=GROWTH, counted_at_once=COUNTED_AT_ONCE))


def _needs_count(rows: Sequence[Any]) -> bool:
    return not rows or bool(rows[0][0])


def announce_recount() -> int:
    """Count the words of the catalog again, and have ``refresh_catalog`` recompute all embeddings, message by message.

    Returns for how many products. The job publish_outbox publishes the messages within a minute.
    """
    with transaction(statement_timeout_s=0) as connection:
        execute(connection, LOCK)
        # another message may have counted while this one waited
        if not _needs_count(execute(connection, OUTDATED, {"growth": GROWTH, "counted_at_once": COUNTED_AT_ONCE})):
            return 0
        execute(connection, COUNT_WORDS)
        ids = [int(row[0]) for row in execute(connection, SHOWN)]
        bulk_writes.announce(connection, ids, "content")
    return len(ids)
