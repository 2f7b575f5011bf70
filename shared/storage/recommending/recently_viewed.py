"""The products that a user viewed most recently."""

from datetime import datetime
from typing import Any, Final

import orjson

from shared.clients import postgres
from shared.storage.catalog.variants import GROUP_KEY

# How many of the user's latest views are searched for products.
VIEWS_MAX: Final = 500

# Of several variants, the one viewed last.
READ: Final = f"""
WITH viewed AS (
    SELECT product_id, max(occurred_at) AS at
    FROM (SELECT product_id, occurred_at FROM events
          WHERE user_id = (SELECT id FROM users WHERE external_id = :user_id) AND event_type = 'view'
          ORDER BY occurred_at DESC LIMIT {VIEWS_MAX}) AS latest
    GROUP BY product_id
), of_variants AS (
    SELECT DISTINCT ON ({GROUP_KEY.format(alias="p")}) p.id, viewed.at
    FROM viewed JOIN products p ON p.id = viewed.product_id
    WHERE p.is_active ORDER BY {GROUP_KEY.format(alias="p")}, viewed.at DESC, p.id
)
SELECT product_json(p, c, s)::text, v.at
FROM of_variants v JOIN products p USING (id)
LEFT JOIN categories c ON c.id = p.category_id LEFT JOIN product_stats s ON s.product_id = p.id
ORDER BY v.at DESC, p.id LIMIT :k
"""


def read(user_id: str, k: int) -> list[tuple[dict[str, Any], datetime]]:
    """Return up to ``k`` ``(product, time of its last view)``, newest first."""
    return [(orjson.loads(product), at) for product, at in postgres.run_prepared(READ, user_id=user_id, k=k)]
