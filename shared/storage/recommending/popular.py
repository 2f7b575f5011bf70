"""The products bought most: for GET /popular and for the live ranking in Redis."""

from typing import Final

from shared.clients import postgres

# Ranked before the joins: an index scan of the counters that stops at the last product needed.
MOST_BOUGHT: Final = """
SELECT p.id, s.purchase_count, product_json(p, c, s)::text
FROM product_stats s JOIN products p ON p.id = s.product_id LEFT JOIN categories c ON c.id = p.category_id
WHERE p.is_active ORDER BY s.purchase_count DESC, s.product_id LIMIT :limit
"""


def most_bought(limit: int) -> list[tuple[int, int, bytes]]:
    """Return ``(product_id, purchases, product JSON)`` of the active products bought most, best first."""
    rows = postgres.run_prepared(MOST_BOUGHT, limit=limit)
    return [(int(product_id), int(purchases), product.encode()) for product_id, purchases, product in rows]
