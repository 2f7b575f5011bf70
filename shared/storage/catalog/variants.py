"""Variants: products of one ``item_group_id``. A list shows one of them."""

from typing import Final

# The key of the product {alias} by which a list groups: equal for all variants of a group, and unique otherwise.
GROUP_KEY: Final = "coalesce('group ' || {alias}.item_group_id, {alias}.id::text)"
