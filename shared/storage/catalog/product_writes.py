"""Changing the catalog by hand: each write is one transaction with its audit log rows and its outbox messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from shared.clients.postgres import Connection, execute
from shared.domain.catalog import ProductPatch, ProductWrite
from shared.errors import Conflict, InvalidRequest, ProductNotFound
from shared.storage.catalog import bulk_writes, search_index

# in the order of ids, as every writer of products locks them
SNAPSHOT: Final = """
CREATE TEMP TABLE IF NOT EXISTS products_before (id bigint PRIMARY KEY, product jsonb NOT NULL) ON COMMIT DROP"""
BEFORE: Final = """
INSERT INTO products_before
SELECT p.id, product_json(p, c.name, NULL)::jsonb - ARRAY['views', 'purchase_count']
FROM products p LEFT JOIN categories c ON c.id = p.category_id
WHERE p.id = ANY (cast(:ids AS bigint[])) OR p.external_id = ANY (cast(:external_ids AS text[]))
ORDER BY p.id FOR NO KEY UPDATE OF p"""
AUDIT: Final = """
INSERT INTO audit_log (actor, action, subject, before, after, request_id)
SELECT :actor, CASE WHEN b.id IS NULL THEN 'product.create' ELSE :action END, 'product:' || p.id, b.product,
       product_json(p, c.name, NULL)::jsonb - ARRAY['views', 'purchase_count'], :request_id
FROM products p LEFT JOIN products_before b USING (id) LEFT JOIN categories c ON c.id = p.category_id
WHERE p.id = ANY (cast(:ids AS bigint[])) ORDER BY p.id"""
EXISTING: Final = "SELECT id FROM products WHERE external_id = :external_id"
EXTERNAL_ID: Final = "SELECT external_id FROM products WHERE id = :product_id FOR NO KEY UPDATE"
HIDE: Final = """
UPDATE products SET is_active = false, updated_at = now() WHERE id = :product_id AND is_active RETURNING id"""


class By(NamedTuple):
    """Who writes, and in which request."""

    actor: str
    request_id: str


@dataclass(frozen=True)
class Written:
    """What a write did: ids of new and changed products, rows refused ``(position, field, message)``, and the outbox
    rows to publish after the commit."""

    created: list[int]
    updated: list[int]
    refused: list[tuple[int, str, str]]
    outbox: list[int]


def _snapshot(connection: Connection, *, ids: Sequence[int] = (), external_ids: Sequence[str] = ()) -> None:
    execute(connection, SNAPSHOT)
    execute(connection, "TRUNCATE products_before")
    execute(connection, BEFORE, {"ids": list(ids), "external_ids": list(external_ids)})


def _audit(connection: Connection, ids: Sequence[int], action: str, by: By) -> None:
    execute(connection, AUDIT, {"actor": by.actor, "action": action, "ids": list(ids), "request_id": by.request_id})


def save(connection: Connection, rows: Sequence[ProductWrite], by: By) -> Written:
    """Create the products whose ``external_id`` is new and change the others. Bad rows are refused one by one."""
    search_index.lock_vocabulary(connection)
    _snapshot(connection, external_ids=[row.external_id for row in rows if row.external_id is not None])
    done = bulk_writes.upsert(connection, rows)
    _audit(connection, done.created + done.updated, "product.update", by)
    outbox = bulk_writes.announce(connection, done.created, "created")
    outbox += bulk_writes.announce(connection, done.updated, "updated")
    return Written(done.created, done.updated, done.refused, outbox)


def _save_one(connection: Connection, row: ProductWrite, by: By) -> Written:
    done = save(connection, [row], by)
    if done.refused:
        _position, field, message = done.refused[0]
        raise InvalidRequest(f"{field}: {message}", errors=[{"field": field, "message": message, "type": "not_found"}])
    return done


def create(connection: Connection, row: ProductWrite, by: By) -> Written:
    """Create one product. Raises Conflict if its ``external_id`` exists, InvalidRequest for an unknown category_id."""
    existing = None
    if row.external_id is not None:
        existing = execute(connection, EXISTING, {"external_id": row.external_id})
    done = None if existing else _save_one(connection, row, by)
    if done is None or not done.created:
        raise Conflict(f"There is already a product with external_id {row.external_id!r}; change it with PATCH.")
    return done


def change(connection: Connection, product_id: int, patch: ProductPatch, by: By) -> Written:
    """Change what ``patch`` gives of one product. Raises ProductNotFound, InvalidRequest for an unknown category_id."""
    search_index.lock_vocabulary(connection)
    rows = execute(connection, EXTERNAL_ID, {"product_id": product_id})
    if not rows:
        raise ProductNotFound(f"There is no product {product_id}.")
    given: dict[str, Any] = {name: getattr(patch, name) for name in type(patch).model_fields}
    # validated already; fields that were not given are not written, whatever they say here
    row = ProductWrite.model_construct({"external_id", *patch.model_fields_set}, **given, external_id=rows[0][0])
    return _save_one(connection, row, by)


def hide(connection: Connection, product_id: int, by: By) -> list[int]:
    """Take one product out of the shop and return the outbox rows; again is no change. Raises ProductNotFound."""
    _snapshot(connection, ids=[product_id])
    if not execute(connection, "SELECT 1 FROM products_before"):
        raise ProductNotFound(f"There is no product {product_id}.")
    if not execute(connection, HIDE, {"product_id": product_id}):
        return []
    _audit(connection, [product_id], "product.delete", by)
    return bulk_writes.announce(connection, [product_id], "deleted")
