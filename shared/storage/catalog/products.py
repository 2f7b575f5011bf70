"""Single products as JSON, built by Postgres."""

from collections.abc import Sequence
from typing import Final

from shared.clients.postgres import Connection, execute_prepared, read, read_one
from shared.errors import ProductNotFound

GET: Final = """
SELECT product_json(p, c, s)::text FROM products p
LEFT JOIN categories c ON c.id = p.category_id LEFT JOIN product_stats s ON s.product_id = p.id
WHERE p.id = :product_id AND (p.is_active OR cast(:include_inactive AS boolean))"""
GET_PUBLIC: Final = """
SELECT p.id, CASE WHEN p.is_active THEN product_json(p, c, s)::text END
FROM products p LEFT JOIN categories c ON c.id = p.category_id LEFT JOIN product_stats s ON s.product_id = p.id
WHERE p.id = ANY (cast(:product_ids AS bigint[]))"""


def _not_found(product_id: int) -> ProductNotFound:
    return ProductNotFound(f"There is no product {product_id}.")


def get(product_id: int) -> bytes:
    """Return an active product's JSON. Raises ProductNotFound if it does not exist or is inactive."""
    row = read_one(GET, product_id=product_id, include_inactive=False)
    if row is None:
        raise _not_found(product_id)
    return str(row[0]).encode()


def get_in(connection: Connection, product_id: int) -> bytes:
    """Return the JSON of a product, active or not, as the caller's transaction sees it. Raises ProductNotFound."""
    rows = execute_prepared(connection, GET, {"product_id": product_id, "include_inactive": True})
    if not rows:
        raise _not_found(product_id)
    return str(rows[0][0]).encode()


def get_public(product_ids: Sequence[int]) -> dict[int, bytes | None]:
    """Return the JSON of each of these products that exists, by id; None for an inactive product."""
    rows = read(GET_PUBLIC, product_ids=list(product_ids))
    return {int(row[0]): None if row[1] is None else row[1].encode() for row in rows}
