"""Change fields of one product without temporary tables, as when a shop reports a price or a stock level.

A change that names a category goes through ``bulk_writes`` instead, which finds and creates categories
(docs/decisions/0061-one-row-without-a-table.md).
"""

from decimal import Decimal
from typing import Any, Final

import orjson

from shared.clients.postgres import Connection, execute, execute_prepared
from shared.domain.catalog import ProductPatch
from shared.domain.shop import rounded
from shared.errors import InvalidRequest, ProductNotFound
from shared.storage.catalog.bulk_writes import PRICES, excess_decimals, given_columns, stored

# A product as recorded in the audit log: only what is stored, no statistics.
AUDITED: Final = """product_json(p, c, NULL::product_stats)::jsonb - ARRAY['views', 'purchase_count']
    || jsonb_build_object('image_url', p.image_url)"""
LOCK: Final = f"""
SELECT p.price, p.list_price, p.currency, (SELECT currency FROM shop), ({AUDITED})::text
FROM products p LEFT JOIN categories c ON c.id = p.category_id
WHERE p.id = :product_id FOR NO KEY UPDATE OF p"""
# The types of the fields are those of the table's columns. Only changed columns are named, because the trigger that
# writes the search document fires on any column that it reads.
CHANGE: Final = """
UPDATE products p SET {assignments}, updated_at = now()
FROM jsonb_populate_record(NULL::products, cast(:fields AS jsonb)) AS r
WHERE p.id = :product_id AND ({old}) IS DISTINCT FROM ({new})
RETURNING p.id"""
AUDIT: Final = f"""
INSERT INTO audit_log (actor, action, subject, before, after, request_id)
SELECT :actor, 'product.update', 'product:' || p.id, cast(:before AS jsonb), {AUDITED}, :request_id
FROM products p LEFT JOIN categories c ON c.id = p.category_id WHERE p.id = :product_id"""
OF_CATEGORIES: Final = frozenset({"category", "category_id", "further_categories"})


def can_change(patch: ProductPatch) -> bool:
    """Return whether a patch changes only the product's own fields, and so no category."""
    return not patch.model_fields_set & OF_CATEGORIES


def change(connection: Connection, product_id: int, patch: ProductPatch, actor: str, request_id: str) -> bool:
    """Write the fields that ``patch`` sets, with an audit log row, and return whether any of them changed.

    Raises ProductNotFound, and InvalidRequest if a price has more decimals than its currency.
    """
    rows = execute_prepared(connection, LOCK, {"product_id": product_id})
    if not rows:
        raise ProductNotFound(f"There is no product {product_id}.")
    *offer, currency_of_shop, before = rows[0]
    _require_decimals(patch, dict(zip((*PRICES, "currency"), offer, strict=True)), currency_of_shop)
    columns = given_columns(patch)
    if not columns:
        return False
    statement = CHANGE.format(
        assignments=", ".join(f"{name} = {stored('r', name)}" for name in columns),
        old=", ".join(f"p.{name}" for name in columns),
        new=", ".join(f"r.{name}" for name in columns),
    )
    fields = orjson.dumps({name: getattr(patch, name) for name in columns}, default=_text).decode()
    if not execute(connection, statement, {"product_id": product_id, "fields": fields}):
        return False
    execute_prepared(
        connection, AUDIT, {"product_id": product_id, "actor": actor, "before": before, "request_id": request_id}
    )
    return True


def _require_decimals(patch: ProductPatch, known: dict[str, Any], currency_of_shop: str | None) -> None:
    """Raise InvalidRequest if the change leaves a price with more decimals than its currency has."""
    if not patch.model_fields_set & known.keys():
        return
    offer = known | {name: getattr(patch, name) for name in patch.model_fields_set & known.keys()}
    currency = offer["currency"] or currency_of_shop
    for name in PRICES:
        if offer[name] is not None and rounded(offer[name], currency) != offer[name]:
            raise InvalidRequest.of_field(name, excess_decimals(currency), "value_error")


def _text(value: object) -> str:
    """Return a price or a rating as text, so that no decimal is lost."""
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)
