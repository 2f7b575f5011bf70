"""Trending scores, computed from the hourly rollup, so that their cost depends only on recent events."""

from typing import Any, Final

import orjson

from shared.clients import postgres
from shared.clients.postgres import Connection, execute
from shared.domain.category_references import CategoryReference
from shared.domain.events import EVENT_WEIGHTS
from shared.domain.trending import Window
from shared.storage.catalog.categories import NAMED, SUBTREE, in_requested
from shared.storage.catalog.variants import HAS_STOCK, others_wanted

# A single statement replaces a window, so readers see either the old or the new scores, never none.
# The decay is computed once per hour, not per row. Clients' clocks may be an hour ahead; such an hour has age 0.
# shared/domain/trending.py has the formula.
REPLACE: Final = """
MERGE INTO trending_scores AS t USING (
    SELECT cast(:window AS text) AS time_window, summed.*, p.category_id
    FROM (
        SELECT h.product_id, sum(h.event_count * w.weight * ages.decay) AS score, sum(h.event_count) AS event_count
        FROM (
            SELECT date_trunc('hour', now(), 'UTC') - make_interval(hours => age) AS hour,
                   exp(-cast(:decay_per_day AS float8) * greatest(age, 0) / 24) AS decay
            FROM generate_series(-1, 24 * :days - 1) AS age
        ) AS ages
        JOIN event_counts_hourly h ON h.hour = ages.hour
        JOIN unnest(cast(:types AS text[]), cast(:weights AS float8[])) AS w(event_type, weight)
            ON w.event_type = h.event_type
        WHERE w.weight > 0
        GROUP BY h.product_id
    ) AS summed JOIN products p ON p.id = summed.product_id
    WHERE p.is_active
) AS s ON t.time_window = s.time_window AND t.product_id = s.product_id
WHEN MATCHED THEN
    UPDATE SET score = s.score, event_count = s.event_count, category_id = s.category_id, computed_at = now()
WHEN NOT MATCHED BY TARGET THEN INSERT (time_window, product_id, score, event_count, category_id)
    VALUES (s.time_window, s.product_id, s.score, s.event_count, s.category_id)
WHEN NOT MATCHED BY SOURCE AND t.time_window = :window THEN DELETE
"""

COUNT: Final = "SELECT count(*) FROM trending_scores WHERE time_window = :window"

# Sold-out products come last, and are read only if the others do not suffice.
_RANKED: Final = """
    SELECT variant_in_stock(p) AS p, t.score, t.event_count, t.product_id
    FROM trending_scores t JOIN products p ON p.id = t.product_id
    WHERE t.time_window = :window AND p.is_active AND p.id NOT IN (SELECT excluded_by_rules())
      AND {requested} AND {stock}
      -- variants of one product stand where the best of them stands
      AND (p.item_group_id IS NULL OR NOT EXISTS (
          SELECT FROM products v JOIN trending_scores o ON o.time_window = t.time_window AND o.product_id = v.id
          WHERE v.item_group_id = p.item_group_id AND v.is_active AND (o.score, -v.id) > (t.score, -p.id)
            AND v.id NOT IN (SELECT excluded_by_rules())
            AND {requested_variant}))
    ORDER BY t.score DESC, p.id LIMIT {limit}"""


def _ranked(stock: str, limit: str) -> str:
    return _RANKED.format(stock=stock, limit=limit, requested=in_requested("p"), requested_variant=in_requested("v"))


TOP: Final = f"""
WITH RECURSIVE {SUBTREE}, in_stock AS MATERIALIZED ({_ranked(HAS_STOCK, ":k")}
), sold_out AS MATERIALIZED ({_ranked(f"NOT {HAS_STOCK}", others_wanted("k"))}
)
SELECT product_json(ranked.p, c, s)::text, ranked.score, ranked.event_count
FROM (SELECT *, false AS is_sold_out FROM in_stock UNION ALL SELECT *, true FROM sold_out) AS ranked
LEFT JOIN categories c ON c.id = (ranked.p).category_id LEFT JOIN product_stats s ON s.product_id = (ranked.p).id
ORDER BY ranked.is_sold_out, ranked.score DESC, ranked.product_id
"""
CATEGORY_EXISTS: Final = f"SELECT 1 FROM categories WHERE id = cast(:category_id AS bigint) OR {NAMED} LIMIT 1"


def replace(connection: Connection, window: Window) -> int:
    """Recompute a window's scores inside the caller's transaction; return the number of products with a score."""
    parameters = {
        "window": window.name,
        "days": window.days,
        "decay_per_day": window.decay_per_day,
        "types": [event_type.value for event_type in EVENT_WEIGHTS],
        "weights": list(EVENT_WEIGHTS.values()),
    }
    execute(connection, REPLACE, parameters)
    return int(execute(connection, COUNT, {"window": window.name})[0][0])


def top(window: str, category: CategoryReference, k: int) -> list[tuple[dict[str, Any], float, int]]:
    """Return up to ``k`` ``(product, score, event_count)``, best first, of all products or of a category's subtree.

    Sold-out products come last.
    """
    rows = postgres.run_prepared(TOP, window=window, **category._asdict(), k=k)
    return [(orjson.loads(product), float(score), int(event_count)) for product, score, event_count in rows]


def category_exists(category: CategoryReference) -> bool:
    """Return whether the category exists."""
    return postgres.read_one(CATEGORY_EXISTS, **category._asdict()) is not None
