"""Variants: products of one ``item_group_id``. A list shows one of them."""

from typing import Final

# The key of the product {alias} by which a list groups: equal for all variants of a group, and unique otherwise.
GROUP_KEY: Final = "coalesce('group ' || {alias}.item_group_id, {alias}.id::text)"
# Whether the product p, or another variant that can be shown in its place, is in stock.
HAS_STOCK: Final = (
    "(p.quantity > 0 OR (p.item_group_id IS NOT NULL AND coalesce((variant_in_stock(p)).quantity > 0, false)))"
)


def others_wanted(parameter: str) -> str:
    """Return the limit of the sold-out products of a list: the places that those of the CTE ``in_stock`` leave."""
    return f"greatest(cast(:{parameter} AS bigint) - (SELECT count(*) FROM in_stock), 0)"
