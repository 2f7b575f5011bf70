"""Trending scores: made from the hourly rollup, so their cost follows what happened lately, not the whole history."""

from typing import Final

from shared.clients.postgres import Connection, execute
from shared.domain.events import EVENT_WEIGHTS
from shared.domain.trending import Window

# One statement replaces a window: a reader sees the scores before it or after it, never none.
# Decay is worked out once per hour, not per row; the hour ahead, where a client's clock may be, has no negative age.
# shared/domain/trending.py has the formula.
REPLACE: Final = """
MERGE INTO trending_scores AS t USING (
    SELECT cast(:window AS text) AS time_window, summed.*, p.category_id
    FROM (
        SELECT h.product_id, sum(h.event_count * w.weight * past.left_over) AS score, sum(h.event_count) AS event_count
        FROM (
            SELECT date_trunc('hour', now(), 'UTC') - make_interval(hours => age) AS hour,
                   exp(-cast(:decay_per_day AS float8) * greatest(age, 0) / 24) AS left_over
            FROM generate_series(-1, 24 * :days - 1) AS age
        ) AS past
        JOIN event_counts_hourly h ON h.hour = past.hour
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


def replace(connection: Connection, window: Window) -> int:
    """Replace a window's scores by those of now, inside the caller's transaction; return how many products have one."""
    parameters = {
        "window": window.name,
        "days": window.days,
        "decay_per_day": window.decay_per_day,
        "types": [event_type.value for event_type in EVENT_WEIGHTS],
        "weights": list(EVENT_WEIGHTS.values()),
    }
    execute(connection, REPLACE, parameters)
    return int(execute(connection, COUNT, {"window": window.name})[0][0])
