"""The search index: each product's search document, and the vocabulary that suggestions and corrections read."""

from collections.abc import Sequence
from typing import Final

from shared.clients.postgres import Connection, execute

# The function takes the lock SEARCH_VOCABULARY of shared/storage/schema/advisory_locks.py.
LOCK_VOCABULARY: Final = "SELECT lock_search_words()"
REFRESH_VOCABULARY: Final = "SELECT refresh_search_words(cast(:product_ids AS bigint[]))"
# Only documents that differ from what product and category say now, for example after a category was renamed.
REFRESH_DOCUMENTS: Final = """
UPDATE products p SET document = ''
FROM (SELECT p.id, product_document(p, c.name) AS document
      FROM products p LEFT JOIN categories c ON c.id = p.category_id
      WHERE p.id = ANY (cast(:product_ids AS bigint[])) ORDER BY p.id FOR NO KEY UPDATE OF p) AS current
WHERE current.id = p.id AND current.document IS DISTINCT FROM p.document
RETURNING p.id"""


def lock_vocabulary(connection: Connection) -> None:
    """Keep other transactions from adding products until this one ends. Call it before locking any product."""
    execute(connection, LOCK_VOCABULARY)


def refresh_vocabulary(connection: Connection, product_ids: Sequence[int] | None) -> int:
    """Bring the vocabulary up to date for these products (None: for all) and return how many words changed."""
    ids = None if product_ids is None else list(product_ids)
    return int(execute(connection, REFRESH_VOCABULARY, {"product_ids": ids})[0][0])


def refresh_documents(connection: Connection, product_ids: Sequence[int]) -> int:
    """Rewrite the outdated search documents among those of these products and return how many were outdated."""
    return len(execute(connection, REFRESH_DOCUMENTS, {"product_ids": list(product_ids)}))
