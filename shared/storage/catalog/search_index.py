"""The search index: each product's search document, and the vocabulary that suggestions and corrections read."""

from collections.abc import Callable, Sequence
from typing import Final

from shared.clients.postgres import Connection, execute, transaction
from shared.storage.catalog import bulk_writes

# Number of products whose documents one transaction rewrites. With long descriptions it takes about 0.1 s, during which
# changes to these products wait.
BATCH: Final = 100

# The function takes the lock SEARCH_VOCABULARY of shared/storage/schema/advisory_locks.py.
LOCK_VOCABULARY: Final = "SELECT lock_search_words()"
REFRESH_VOCABULARY: Final = "SELECT refresh_search_words(cast(:product_ids AS bigint[]))"
# Rewrites only documents that no longer match their product and category, for example after a category was renamed, and
# those in a language other than the shop's.
REFRESH_DOCUMENTS: Final = """
UPDATE products p SET document = ''
FROM (SELECT p.id, product_document(p, c.leaf) AS document
      FROM products p LEFT JOIN categories c ON c.id = p.category_id
      WHERE p.id = ANY (cast(:product_ids AS bigint[])) ORDER BY p.id FOR NO KEY UPDATE OF p) AS current
WHERE current.id = p.id AND (current.document IS DISTINCT FROM p.document
                             OR p.document_language IS DISTINCT FROM (SELECT languages[1] FROM shop))
RETURNING p.id"""
# Documents in a language other than the shop's: their transaction read the language before a change and committed after
# it.
REFRESH_LANGUAGE: Final = """
UPDATE products p SET document = ''
FROM (SELECT id FROM products WHERE id = ANY (cast(:product_ids AS bigint[])) ORDER BY id FOR NO KEY UPDATE) AS locked
WHERE locked.id = p.id AND p.document_language IS DISTINCT FROM (SELECT languages[1] FROM shop)
RETURNING p.id"""
IN_ANOTHER_LANGUAGE: Final = """
SELECT p.id FROM products p
WHERE (SELECT cardinality(languages) > 1 FROM shop)
  AND p.document_language IS DISTINCT FROM (SELECT languages[1] FROM shop)
ORDER BY p.id LIMIT :limit"""
# Until then, searches use the previous language as well.
END_CHANGE_OF_LANGUAGE: Final = """
UPDATE shop SET languages = languages[1:1]
WHERE cardinality(languages) > 1
  AND NOT EXISTS (SELECT FROM products p WHERE p.document_language IS DISTINCT FROM languages[1])"""
IS_INDEXING: Final = "SELECT cardinality(languages) > 1 FROM shop"
ALL_PRODUCTS: Final = "SELECT id FROM products ORDER BY id"


def lock_vocabulary(connection: Connection) -> None:
    """Block other transactions from adding products until this one ends. Call it before locking any product."""
    execute(connection, LOCK_VOCABULARY)


def refresh_vocabulary(connection: Connection, product_ids: Sequence[int] | None) -> int:
    """Update the vocabulary for these products (None for all) and return how many words changed."""
    ids = None if product_ids is None else list(product_ids)
    return int(execute(connection, REFRESH_VOCABULARY, {"product_ids": ids})[0][0])


def refresh_documents(connection: Connection, product_ids: Sequence[int]) -> int:
    """Rewrite the outdated search documents of these products; return how many were outdated."""
    return len(execute(connection, REFRESH_DOCUMENTS, {"product_ids": list(product_ids)}))


def refresh_language(connection: Connection, product_ids: Sequence[int]) -> int:
    """Rewrite those documents of these products that are not in the shop's language; return how many."""
    return len(execute(connection, REFRESH_LANGUAGE, {"product_ids": list(product_ids)}))


def refresh_batches(refresh: Callable[[Connection, Sequence[int]], int], product_ids: Sequence[int]) -> int:
    """Run ``refresh_documents`` or ``refresh_language`` in short transactions; return how many documents changed.

    Afterwards the index's pending entries are merged, including those of the change that the message announces.
    """
    rewritten = 0
    for start in range(0, len(product_ids), BATCH):
        with transaction() as connection:
            rewritten += refresh(connection, product_ids[start : start + BATCH])
    bulk_writes.merge_documents()
    return rewritten


def list_in_another_language(connection: Connection, limit: int) -> list[int]:
    """Return up to ``limit`` products still to be indexed after a language change; none if no change is under way."""
    return [int(row[0]) for row in execute(connection, IN_ANOTHER_LANGUAGE, {"limit": limit})]


def announce_all(connection: Connection) -> list[int]:
    """Make refresh_catalog reindex every product; return the outbox ids to publish after commit.

    Products being added by a concurrent transaction are not included; ``refresh_language`` indexes those.
    """
    product_ids = [row[0] for row in execute(connection, ALL_PRODUCTS)]
    return bulk_writes.announce(connection, product_ids, "search")


def end_change_of_language(connection: Connection) -> None:
    """Search only in the shop's language from now on. Call it once all documents are in that language."""
    execute(connection, END_CHANGE_OF_LANGUAGE)


def is_indexing(connection: Connection) -> bool:
    """Return whether some documents are still in a language other than the shop's."""
    return bool(execute(connection, IS_INDEXING)[0][0])
