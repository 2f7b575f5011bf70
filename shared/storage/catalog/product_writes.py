"""Product changes by staff, each in one transaction with its audit log rows and outbox messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from shared.clients.postgres import Connection, execute
from shared.domain.catalog import ProductPatch, ProductWrite
from shared.errors import Conflict, InvalidRequest, ProductNotFound
from shared.storage.catalog import bulk_writes, field_changes

# The state before the change, for the audit log. BEFORE locks the rows in id order, like every writer.
SNAPSHOT: Final = """
CREATE TEMP TABLE IF NOT EXISTS products_before (id bigint PRIMARY KEY, product jsonb NOT NULL) ON COMMIT DROP"""
BEFORE: Final = f"""
INSERT INTO products_before
SELECT p.id, {field_changes.AUDITED}
FROM products p LEFT JOIN categories c ON c.id = p.category_id
WHERE p.id = ANY (cast(:ids AS bigint[])) OR p.external_id = ANY (cast(:external_ids AS text[]))
ORDER BY p.id FOR NO KEY UPDATE OF p"""
AUDIT: Final = f"""
INSERT INTO audit_log (actor, action, subject, before, after, request_id)
SELECT :actor, CASE WHEN b.id IS NULL THEN 'product.create' ELSE :action END, 'product:' || p.id, b.product,
       {field_changes.AUDITED}, :request_id
FROM products p LEFT JOIN products_before b USING (id) LEFT JOIN categories c ON c.id = p.category_id
WHERE p.id = ANY (cast(:ids AS bigint[])) ORDER BY p.id"""
EXISTING: Final = "SELECT id FROM products WHERE external_id = :external_id"
EXTERNAL_ID: Final = "SELECT external_id FROM products WHERE id = :product_id FOR NO KEY UPDATE"
DEACTIVATE: Final = """
UPDATE products SET is_active = false, updated_at = now() WHERE id = :product_id AND is_active RETURNING id"""


class Author(NamedTuple):
    """Who makes a change, and in which request, for the audit log."""

    actor: str
    request_id: str


@dataclass(frozen=True)
class Written:
    """The result of a write: ids of created and of updated products, refused rows as ``(position, field, message)``,
    accepted rows as ``(position, product id, external_id)``, and ids of outbox rows to publish after the commit."""

    created: list[int]
    updated: list[int]
    refused: list[tuple[int, str, str]]
    products: list[tuple[int, int, str]]
    outbox: list[int]


def _snapshot(connection: Connection, *, ids: Sequence[int] = (), external_ids: Sequence[str] = ()) -> None:
    execute(connection, SNAPSHOT)
    execute(connection, "TRUNCATE products_before")
    execute(connection, BEFORE, {"ids": list(ids), "external_ids": list(external_ids)})


def _audit(connection: Connection, ids: Sequence[int], action: str, author: Author) -> None:
    execute(
        connection, AUDIT, {"actor": author.actor, "action": action, "ids": list(ids), "request_id": author.request_id}
    )


def save(connection: Connection, rows: Sequence[ProductWrite], author: Author) -> Written:
    """Create products with a new ``external_id``, update the others, and refuse rows that are not valid."""
    _snapshot(connection, external_ids=[row.external_id for row in rows if row.external_id is not None])
    result = bulk_writes.upsert(connection, rows)
    _audit(connection, result.created + result.updated, "product.update", author)
    outbox = bulk_writes.announce(connection, result.created, "created")
    outbox += bulk_writes.announce(connection, result.updated, "updated")
    return Written(result.created, result.updated, result.refused, result.products, outbox)


def _save_one(connection: Connection, row: ProductWrite, author: Author) -> Written:
    written = save(connection, [row], author)
    if written.refused:
        _position, field, message = written.refused[0]
        raise InvalidRequest.of_field(field, message, "not_found" if field.startswith("category") else "value_error")
    return written


def create(connection: Connection, row: ProductWrite, author: Author) -> Written:
    """Create a product.

    Raises Conflict if its ``external_id`` exists, and InvalidRequest if its ``category_id`` does not exist or a price
    has more decimals than its currency.
    """
    existing = None
    if row.external_id is not None:
        existing = execute(connection, EXISTING, {"external_id": row.external_id})
    written = None if existing else _save_one(connection, row, author)
    if written is None or not written.created:
        raise Conflict(
            f"A product with external_id {row.external_id!r} exists; change it with PATCH /products/{{product_id}}."
        )
    return written


def change(connection: Connection, product_id: int, patch: ProductPatch, author: Author) -> Written:
    """Update the fields of a product that ``patch`` sets.

    Raises ProductNotFound, and InvalidRequest as ``create`` does.
    """
    if field_changes.can_change(patch):
        is_changed = field_changes.change(connection, product_id, patch, author.actor, author.request_id)
        updated = [product_id] if is_changed else []
        return Written([], updated, [], [], bulk_writes.announce(connection, updated, "updated"))
    rows = execute(connection, EXTERNAL_ID, {"product_id": product_id})
    if not rows:
        raise ProductNotFound(f"There is no product {product_id}.")
    values: dict[str, Any] = {name: getattr(patch, name) for name in type(patch).model_fields}
    # `patch` is already validated. Only the fields in the first argument (model_fields_set) are written.
    row = ProductWrite.model_construct({"external_id", *patch.model_fields_set}, **values, external_id=rows[0][0])
    return _save_one(connection, row, author)


def deactivate(connection: Connection, product_id: int, author: Author) -> list[int]:
    """Deactivate a product; return the ids of outbox rows, empty if it was already inactive. Raises ProductNotFound."""
    _snapshot(connection, ids=[product_id])
    if not execute(connection, "SELECT 1 FROM products_before"):
        raise ProductNotFound(f"There is no product {product_id}.")
    if not execute(connection, DEACTIVATE, {"product_id": product_id}):
        return []
    _audit(connection, [product_id], "product.delete", author)
    return bulk_writes.announce(connection, [product_id], "deleted")
