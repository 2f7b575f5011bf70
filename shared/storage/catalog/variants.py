"""Variants: products with the same ``item_group_id``. A list shows one of them."""

from typing import Final

# The key by which a list groups the product {alias}: the same for all variants of a group, and unique otherwise.
GROUP_KEY: Final = "coalesce('group ' || {alias}.item_group_id, {alias}.id::text)"
# Whether the product p, or another variant that can be shown in its place, is in stock.
HAS_STOCK: Final = (
    "(p.quantity > 0 OR (p.item_group_id IS NOT NULL AND coalesce((variant_in_stock(p)).quantity > 0, false)))"
)


def others_wanted(parameter: str) -> str:
    """Return the LIMIT for a list's sold-out products: the places that the CTE ``in_stock`` leaves free."""
    return f"greatest(cast(:{parameter} AS bigint) - (SELECT count(*) FROM in_stock), 0)"
