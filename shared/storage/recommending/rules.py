"""Merchandising rules as admins write and list them. Recommendations read the rules in force with the candidates."""

from collections.abc import Mapping
from typing import Any, Final

from shared.clients.postgres import Connection, execute, read
from shared.errors import CategoryNotFound, NotFound, ProductNotFound, SegmentNotFound

COLUMNS: Final = (
    "kind",
    "product_id",
    "category_id",
    "brand",
    "tag",
    "price_min",
    "price_max",
    "segment_id",
    "factor",
    "position",
    "starts_at",
    "ends_at",
    "active",
    "note",
)
SELECT: Final = f"""
SELECT r.id, {", ".join(f"r.{column}" for column in COLUMNS)}, r.created_at, r.updated_at,
       EXISTS (SELECT FROM rules_in_force a WHERE a.id = r.id) AS in_force
FROM rules r"""
LIST: Final = f"{SELECT} ORDER BY r.id LIMIT 1000"
GET: Final = f"{SELECT} WHERE r.id = :id"
LOCK: Final = "SELECT 1 FROM rules WHERE id = :id FOR UPDATE"
ADD: Final = f"""
INSERT INTO rules ({", ".join(COLUMNS)}) VALUES ({", ".join(f":{column}" for column in COLUMNS)}) RETURNING id"""
CHANGE: Final = f"""
UPDATE rules SET {", ".join(f"{column} = :{column}" for column in COLUMNS)}, updated_at = now() WHERE id = :id"""
DELETE: Final = "DELETE FROM rules WHERE id = :id"
CHECK_REFERENCES: Final = """
SELECT cast(:product_id AS bigint) IS NULL OR EXISTS (SELECT FROM products WHERE id = :product_id),
       cast(:category_id AS bigint) IS NULL OR EXISTS (SELECT FROM categories WHERE id = :category_id),
       cast(:segment_id AS bigint) IS NULL OR EXISTS (SELECT FROM segments WHERE id = :segment_id)
"""


def _to_dict(row: Any) -> dict[str, Any]:
    rule = dict(row._mapping)
    for name in ("price_min", "price_max"):
        rule[name] = None if rule[name] is None else float(rule[name])
    return rule


def list_rules() -> list[dict[str, Any]]:
    """Return all rules, oldest first. ``in_force`` is true for an active rule within its dates."""
    return [_to_dict(row) for row in read(LIST)]


def lock(connection: Connection, rule_id: int) -> dict[str, Any]:
    """Lock a rule until the transaction ends and return it. Raises NotFound."""
    if not execute(connection, LOCK, {"id": rule_id}):
        raise NotFound(f"There is no rule {rule_id}; GET /admin/rules lists them.")
    return _to_dict(execute(connection, GET, {"id": rule_id})[0])


def _check(connection: Connection, rule: Mapping[str, Any]) -> None:
    references = {name: rule[name] for name in ("product_id", "category_id", "segment_id")}
    product_exists, category_exists, segment_exists = execute(connection, CHECK_REFERENCES, references)[0]
    if not product_exists:
        raise ProductNotFound(f"There is no product {rule['product_id']}.")
    if not category_exists:
        raise CategoryNotFound(f"There is no category {rule['category_id']}; GET /products/categories lists them.")
    if not segment_exists:
        raise SegmentNotFound(f"There is no segment {rule['segment_id']}; GET /admin/segments lists them.")


def add(connection: Connection, rule: Mapping[str, Any]) -> dict[str, Any]:
    """Add a rule, given by COLUMNS, and return it.

    Raises ProductNotFound, CategoryNotFound, SegmentNotFound.
    """
    _check(connection, rule)
    rule_id = execute(connection, ADD, {column: rule[column] for column in COLUMNS})[0][0]
    return lock(connection, int(rule_id))


def change(connection: Connection, rule_id: int, rule: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the COLUMNS of a locked rule and return it.

    Raises ProductNotFound, CategoryNotFound, SegmentNotFound.
    """
    _check(connection, rule)
    execute(connection, CHANGE, {column: rule[column] for column in COLUMNS} | {"id": rule_id})
    return lock(connection, rule_id)


def delete(connection: Connection, rule_id: int) -> None:
    """Delete a locked rule."""
    execute(connection, DELETE, {"id": rule_id})
