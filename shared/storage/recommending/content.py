"""Embeddings of descriptions, computed after products are written, in batches that no request waits for.

docs/decisions/0043-content-after-commit.md.
"""

from collections.abc import Sequence
from typing import Any, Final

from shared.clients.postgres import Connection, execute, read, transaction
from shared.storage.catalog import bulk_writes, search_index

# Products per transaction; with long descriptions, one takes about 0.2 s.
BATCH: Final = 100
# Words are recounted before the nightly job if the number of visible products has grown or shrunk by this factor since
# the last count. So an import into an empty shop computes at most twice as many embeddings as it has products.
GROWTH: Final = 2
# A larger catalog is counted by the nightly job, in steps; a single statement would exceed a message's time limit.
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

    None means all products, in one transaction; their words are then recounted.
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
    """Return how many new products have no embedding yet."""
    return int(read("SELECT count(*) FROM content_pending")[0][0])


def refresh_next_pending() -> list[int]:
    """Compute the embeddings of some pending products and return their ids; empty if none is pending.

    Pending products whose words another writer kept out of the vocabulary are added to it first.
    """
    rows = read(PENDING, batch=BATCH)
    ids = [int(row[0]) for row in rows]
    without_words = [int(row[0]) for row in rows if row[1]]
    if without_words:
        # Separate transactions, because each takes locks that other transactions take in a different order.
        with transaction() as connection:
            search_index.refresh_documents(connection, without_words)
        with transaction() as connection:
            search_index.refresh_vocabulary(connection, without_words)
            end_wait_for_words(connection, without_words)
    if ids:
        refresh_batches(ids)
    return ids


def refresh_pending() -> None:
    """Compute the embeddings of all pending products."""
    while refresh_next_pending():
        pass


def end_change_of_language() -> int:
    """Index the products missed by a change of the search language; return how many there were.

    ``refresh_catalog`` indexes the products named in its messages. A product whose transaction began before the change
    and committed after it may not be among them, and searches would keep using both languages forever.
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
    """Record that the words of these products are in the vocabulary, so that only their embeddings are pending."""
    execute(connection, WORDS_ARE_KNOWN, {"product_ids": list(product_ids)})


def is_outdated() -> bool:
    """Return whether the words were counted in a much smaller or larger catalog, and no product is pending.

    While products are pending, an import may be in progress, and its last message will find the words outdated. A large
    catalog is left to the nightly job.
    """
    if read(IS_ANY_PENDING)[0][0]:
        return False
    return _needs_count(read(OUTDATED, growth=GROWTH, counted_at_once=COUNTED_AT_ONCE))


def _needs_count(rows: Sequence[Any]) -> bool:
    return not rows or bool(rows[0][0])


def announce_recount() -> int:
    """Recount the words of the catalog, and make ``refresh_catalog`` recompute all embeddings, message by message.

    Returns the number of products. The job publish_outbox publishes the messages within a minute.
    """
    with transaction(statement_timeout_s=0) as connection:
        execute(connection, LOCK)
        # Another message may have recounted while this one was waiting.
        if not _needs_count(execute(connection, OUTDATED, {"growth": GROWTH, "counted_at_once": COUNTED_AT_ONCE})):
            return 0
        execute(connection, COUNT_WORDS)
        ids = [int(row[0]) for row in execute(connection, SHOWN)]
        bulk_writes.announce(connection, ids, "content")
    return len(ids)
