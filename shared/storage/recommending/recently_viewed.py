"""The products that a user viewed last."""

from datetime import datetime
from typing import Any, Final

import orjson

from shared.clients import postgres

# among the user's latest 500 views
READ: Final = """
SELECT product_json(p, c, s)::text, v.at
FROM (SELECT DISTINCT ON (coalesce('group ' || p.item_group_id, p.id::text)) p.id, v.at
      FROM (SELECT product_id, max(occurred_at) AS at
      FROM (SELECT product_id, occurred_at FROM events
            WHERE user_id = (SELECT id FROM users WHERE external_id = :user_id) AND event_type = 'view'
            ORDER BY occurred_at DESC LIMIT 500) AS latest
      GROUP BY product_id) AS v JOIN products p ON p.id = v.product_id
      WHERE p.is_active ORDER BY coalesce('group ' || p.item_group_id, p.id::text), v.at DESC, p.id) AS v
JOIN products p USING (id)
LEFT JOIN categories c ON c.id = p.category_id LEFT JOIN product_stats s ON s.product_id = p.id
ORDER BY v.at DESC, p.id LIMIT :k
"""


def read(user_id: str, k: int) -> list[tuple[dict[str, Any], datetime]]:
    """Return up to ``k`` ``(product, time of its last view)``, newest first."""
    return [(orjson.loads(product), at) for product, at in postgres.run_prepared(READ, user_id=user_id, k=k)]
