"""The products and categories named in an explanation, including hidden ones."""

from collections.abc import Callable, Collection
from typing import Any, Final

from shared.clients import postgres

PRODUCTS: Final = """
SELECT p.id, p.external_id, p.name, c.path AS category_path, cast(p.price AS float8) AS price, p.quantity, p.is_active,
       p.item_group_id
FROM products p LEFT JOIN categories c ON c.id = p.category_id WHERE p.id = ANY (cast(:ids AS bigint[]))
"""
CATEGORIES: Final = "SELECT id, path FROM categories WHERE id = ANY (cast(:ids AS bigint[]))"


def read_products(ids: Collection[int], read: Callable[..., Any] = postgres.read) -> dict[int, dict[str, Any]]:
    """Return the identifying fields of products, by id, without deleted products. ``read`` runs the statement."""
    rows = read(PRODUCTS, ids=sorted(set(ids)))
    return {int(row.id): dict(row._mapping) for row in rows}


def category_paths(ids: Collection[int], read: Callable[..., Any] = postgres.read) -> dict[int, str]:
    """Return the paths of categories, by id. ``read`` runs the statement."""
    return {int(row[0]): row[1] for row in read(CATEGORIES, ids=sorted(ids))}
