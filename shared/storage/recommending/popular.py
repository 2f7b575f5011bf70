"""The most purchased products, for GET /popular and for the live ranking in Redis."""

from typing import Final

from shared.clients import postgres
from shared.storage.catalog.variants import HAS_STOCK, others_wanted

# Ranked before the joins, by index scans of the counters that stop at the last product needed. Sold-out products come
# last, and are read only if the others do not suffice.
# Variants of one product are ranked by the most purchased of them, and one in stock is shown.
_RANKED: Final = """
    SELECT variant_in_stock(p) AS p, s.purchase_count, s.product_id
    FROM product_stats s JOIN products p ON p.id = s.product_id
    WHERE p.is_active AND {stock}
      AND (p.item_group_id IS NULL OR NOT EXISTS (
          SELECT FROM products v JOIN product_stats o ON o.product_id = v.id
          WHERE v.item_group_id = p.item_group_id AND v.is_active
            AND (o.purchase_count, -v.id) > (s.purchase_count, -p.id)))
    ORDER BY s.purchase_count DESC, s.product_id LIMIT {limit}"""
MOST_BOUGHT: Final = f"""
WITH in_stock AS MATERIALIZED ({_RANKED.format(stock=HAS_STOCK, limit=":limit")}
), sold_out AS MATERIALIZED ({_RANKED.format(stock=f"NOT {HAS_STOCK}", limit=others_wanted("limit"))}
)
SELECT (ranked.p).id, ranked.purchase_count, product_json(ranked.p, c, s)::text
FROM (SELECT *, false AS is_sold_out FROM in_stock UNION ALL SELECT *, true FROM sold_out) AS ranked
LEFT JOIN categories c ON c.id = (ranked.p).category_id LEFT JOIN product_stats s ON s.product_id = (ranked.p).id
ORDER BY ranked.is_sold_out, ranked.purchase_count DESC, ranked.product_id
"""


def most_bought(limit: int) -> list[tuple[int, int, bytes]]:
    """Return ``(product_id, purchases, product JSON)`` of the most purchased active products, best first, with sold-out
    products last."""
    rows = postgres.run_prepared(MOST_BOUGHT, limit=limit)
    return [(int(product_id), int(purchases), product.encode()) for product_id, purchases, product in rows]
