"""The night's share of the embeddings: what changed without a message, and all of them after a count of the words.

Every step is a short transaction that leaves a whole state, so that a run that ends early is taken up by the next one.
docs/decisions/0082-content-by-changes.md.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from shared.clients.postgres import execute, read, transaction
from shared.storage.recommending import content

# The words are counted anew when this share of the products has changed since, so that a change costs at most twenty
# embeddings in the long run. A small catalog is counted whenever anything has changed: that takes half a minute.
CHANGED_SHARE: Final = 0.05
SMALL_CATALOG: Final = 10_000
# Of one step of a count: it holds the lock that messages of refresh_catalog wait for, for about half a second.
PRODUCTS_AT_ONCE: Final = 1_000
WORDS_AT_ONCE: Final = 1_000
# products whose generation one statement looks at
LOOKED_AT_AT_ONCE: Final = 1_000

# What waits has changed as well: it is embedded after the count, and not before it and once more.
IS_DUE: Final = """
SELECT coalesce((
    SELECT embedded_to IS NULL AND since.changes > 0
       AND (products <= cast(:small AS bigint) OR since.changes >= products * cast(:share AS float8))
    FROM content_counts CROSS JOIN LATERAL (
        SELECT changed + (SELECT count(*) FROM content_waiting) AS changes) AS since), true)
   AND NOT EXISTS (SELECT FROM content_recounts)"""
BEGIN: Final = "SELECT begin_content_count()"
CONTINUE: Final = "SELECT continue_content_count(:products, :words)"
# An index passes over the notes that earlier batches deleted; a scan of the table reads them again.
CHANGED: Final = "SELECT DISTINCT product_id FROM content_changes ORDER BY product_id LIMIT :batch"
EMBEDDED_TO: Final = "SELECT embedded_to, generation FROM content_counts WHERE embedded_to IS NOT NULL"
# The next ids, of which the outdated are those of another generation, without a row, or hidden with one.
NEXT: Final = """
SELECT p.id, CASE WHEN p.is_active THEN c.generation IS DISTINCT FROM (SELECT generation FROM content_counts)
                  ELSE c.product_id IS NOT NULL END
FROM (SELECT id, is_active FROM products WHERE id > :after ORDER BY id LIMIT :batch) AS p
LEFT JOIN product_content c ON c.product_id = p.id
ORDER BY p.id"""
# Unless the words were counted anew meanwhile, and all embeddings are outdated.
MOVE: Final = "UPDATE content_counts SET embedded_to = cast(:id AS bigint) WHERE generation = :generation"
# What waits, and the shown products after `passed`: all of them if the words are or should be counted.
LEFT: Final = """
SELECT (SELECT count(*) FROM products p WHERE p.is_active AND p.id > done.passed)
     + (SELECT count(*) FROM content_waiting w
        WHERE NOT EXISTS (SELECT FROM products p WHERE p.id = w.product_id AND p.is_active AND p.id > done.passed))
FROM (SELECT CASE WHEN EXISTS (SELECT FROM content_recounts) OR cast(:due AS boolean) THEN 0
                  ELSE (SELECT embedded_to FROM content_counts) END AS passed) AS done"""


class Renewal(NamedTuple):
    """What a run did, and what it left to the next.

    written : embeddings computed, but for those that were the same already.
    is_recounted : whether the words were counted anew by this run.
    left : products whose embeddings are still to compute, at most.
    """

    written: int
    is_recounted: bool
    left: int


def is_due() -> bool:
    """Return whether enough has changed that the words should be counted anew."""
    return bool(read(IS_DUE, small=SMALL_CATALOG, share=CHANGED_SHARE)[0][0])


def renew(may_go_on: Callable[[], bool]) -> Renewal:
    """Compute the embeddings that are out of date, until ``may_go_on`` returns false, and return what was done.

    A count comes first, so that each product is embedded once. What an earlier run began is completed before the words
    are counted again.
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
    """Compute outdated embeddings among the next products and note how far that is; return how many were written."""
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
