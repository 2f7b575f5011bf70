"""Nightly renewal of embeddings: those that changed without a message, and all of them after a recount of the words.

Every step is a short transaction that leaves a consistent state, so that the next run can resume one that ends early.
docs/decisions/0082-content-by-changes.md.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from shared.clients.postgres import execute, read, transaction
from shared.storage.recommending import content

# The words are recounted once this share of the products has changed since the last count, so that in the long run a
# change costs at most twenty embeddings. A small catalog is recounted after any change, which takes half a minute.
CHANGED_SHARE: Final = 0.05
SMALL_CATALOG: Final = 10_000
# Products per step of a count. A step holds the lock that refresh_catalog's messages wait for, for about half a second.
PRODUCTS_AT_ONCE: Final = 1_000
WORDS_AT_ONCE: Final = 1_000
# Products whose generation one statement checks.
LOOKED_AT_AT_ONCE: Final = 1_000

# Pending products count as changed: they are embedded after the recount instead of both before and after it.
IS_DUE: Final = """
SELECT coalesce((
    SELECT embedded_to IS NULL AND since.changes > 0
       AND (products <= cast(:small AS bigint) OR since.changes >= products * cast(:share AS float8))
    FROM content_counts CROSS JOIN LATERAL (
        SELECT changed + (SELECT count(*) FROM content_waiting) AS changes) AS since), true)
   AND NOT EXISTS (SELECT FROM content_recounts)"""
BEGIN: Final = "SELECT begin_content_count()"
CONTINUE: Final = "SELECT continue_content_count(:products, :words)"
# Ordered, so that an index is used, which skips rows deleted by earlier batches; a table scan would read them again.
CHANGED: Final = "SELECT DISTINCT product_id FROM content_changes ORDER BY product_id LIMIT :batch"
EMBEDDED_TO: Final = "SELECT embedded_to, generation FROM content_counts WHERE embedded_to IS NOT NULL"
# The next ids. Outdated are visible products with a different generation or without a row, and hidden ones with a row.
NEXT: Final = """
SELECT p.id, CASE WHEN p.is_active THEN c.generation IS DISTINCT FROM (SELECT generation FROM content_counts)
                  ELSE c.product_id IS NOT NULL END
FROM (SELECT id, is_active FROM products WHERE id > :after ORDER BY id LIMIT :batch) AS p
LEFT JOIN product_content c ON c.product_id = p.id
ORDER BY p.id"""
# Unless the words were recounted in the meantime, which makes all embeddings outdated.
MOVE: Final = "UPDATE content_counts SET embedded_to = cast(:id AS bigint) WHERE generation = :generation"
# The pending products, and the visible products after `passed`: all of them if a recount is running or due.
LEFT: Final = """
SELECT (SELECT count(*) FROM products p WHERE p.is_active AND p.id > done.passed)
     + (SELECT count(*) FROM content_waiting w
        WHERE NOT EXISTS (SELECT FROM products p WHERE p.id = w.product_id AND p.is_active AND p.id > done.passed))
FROM (SELECT CASE WHEN EXISTS (SELECT FROM content_recounts) OR cast(:due AS boolean) THEN 0
                  ELSE (SELECT embedded_to FROM content_counts) END AS passed) AS done"""


class Renewal(NamedTuple):
    """What a run did, and what it left to the next.

    written : number of computed embeddings that differ from the stored ones.
    is_recounted : whether this run recounted the words.
    left : upper bound on the products whose embeddings are still to be computed.
    """

    written: int
    is_recounted: bool
    left: int


def is_due() -> bool:
    """Return whether enough has changed for the words to be recounted."""
    return bool(read(IS_DUE, small=SMALL_CATALOG, share=CHANGED_SHARE)[0][0])


def renew(may_go_on: Callable[[], bool]) -> Renewal:
    """Recompute outdated embeddings until ``may_go_on`` returns False, and return what was done.

    A recount comes first, so that each product is embedded once. What an earlier run began is completed before the
    words are recounted.
    """
    written, is_recounted = 0, False
    if may_go_on() and is_due():
        with transaction() as connection:
            execute(connection, BEGIN)
    while may_go_on():
        if _is_counting():
            is_recounted = not _continue_count()
        elif ids := content.refresh_next_pending():
            written += len(ids)
        elif rows := read(CHANGED, batch=content.BATCH):
            written += content.refresh_batches([int(row[0]) for row in rows])
        elif progress := read(EMBEDDED_TO):
            written += _embed_next(*progress[0])
        else:
            break
    return Renewal(written, is_recounted, _left())


def _is_counting() -> bool:
    return bool(read("SELECT EXISTS (SELECT FROM content_recounts)")[0][0])


def _continue_count() -> bool:
    with transaction() as connection:
        return bool(execute(connection, CONTINUE, {"products": PRODUCTS_AT_ONCE, "words": WORDS_AT_ONCE})[0][0])


def _embed_next(after: int, generation: int) -> int:
    """Recompute outdated embeddings among the next products and store the position; return how many were written."""
    rows = read(NEXT, after=after, batch=LOOKED_AT_AT_ONCE)
    outdated = [int(row[0]) for row in rows if row[1]]
    last = int(rows[-1][0]) if rows else None
    if len(outdated) > content.BATCH:
        outdated = outdated[: content.BATCH]
        last = outdated[-1]
    written = content.refresh_batches(outdated)
    with transaction() as connection:
        execute(connection, MOVE, {"id": last, "generation": generation})
    return written


def _left() -> int:
    return int(read(LEFT, due=is_due())[0][0])
