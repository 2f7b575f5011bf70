"""Merchandising rules as admins write and list them. Recommendations read the rules in force with the candidates."""

from collections.abc import Mapping
from typing import Any, Final

from shared.clients.postgres import Connection, execute, read
from shared.domain.product_references import ProductReference
from shared.errors import CategoryNotFound, NotFound, ProductNotFound, SegmentNotFound
from shared.storage.catalog import product_ids

COLUMNS: Final = (
    "kind",
    "product_id",
    "category_id",
    "brand",
    "tag",
    "price_min",
    "price_max",
    "discount_min",
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
       EXISTS (SELECT FROM current_rules a WHERE a.id = r.id) AS in_force,
       (SELECT external_id FROM products WHERE id = r.product_id) AS external_id
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


def _checked(connection: Connection, rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rule with Aisle's id of its product, which it may name by either id."""
    checked = dict(rule)
    if rule.get("external_id") is not None:
        product = ProductReference(rule["product_id"], rule["external_id"])
        checked["product_id"] = product_ids.resolve(product, connection).product_id
    _check(connection, checked)
    return {column: checked[column] for column in COLUMNS}


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
    """Add a rule, given by COLUMNS and ``external_id``, and return it.

    Raises ProductNotFound, CategoryNotFound, SegmentNotFound, and InvalidRequest for two ids of different products.
    """
    rule_id = execute(connection, ADD, _checked(connection, rule))[0][0]
    return lock(connection, int(rule_id))


def change(connection: Connection, rule_id: int, rule: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the COLUMNS of a locked rule and return it. Raises as ``add`` does."""
    execute(connection, CHANGE, _checked(connection, rule) | {"id": rule_id})
    return lock(connection, rule_id)


def delete(connection: Connection, rule_id: int) -> None:
    """Delete a locked rule."""
    execute(connection, DELETE, {"id": rule_id})
