"""Events per day and type, counted once a day so that the dashboard need not count the events themselves.

A day begins at midnight in the shop's time zone. A change of the zone counts later days, and days counted again.
"""

from datetime import date
from typing import Final

from shared.clients.postgres import Connection, execute

# The last days, and days that have events in the hourly rollup but were never counted: after a bulk load, or if the
# job did not run. Late events of an older day that is counted already need a backfill (parameter `days` of the job).
DAYS_TO_COUNT: Final = """
SELECT day::date
FROM generate_series(shop_day(now()) - cast(:days AS integer) + 1, shop_day(now()), interval '1 day') AS day
UNION
SELECT day::date
FROM generate_series(shop_day((SELECT min(hour) FROM event_counts_hourly)), shop_day(now()), interval '1 day') AS day
WHERE NOT EXISTS (SELECT FROM daily_event_stats d WHERE d.date = day::date)
  AND EXISTS (SELECT FROM event_counts_hourly h
              WHERE h.hour >= shop_midnight(day::date) AND h.hour < shop_midnight(day::date + 1))
ORDER BY 1
"""

# Numbers of different users cannot be added up, so days are counted as a whole. Nothing is deleted: a day whose events
# the retention job dropped keeps its counts.
REFRESH: Final = """
INSERT INTO daily_event_stats (date, event_type, event_count, unique_users, unique_products)
SELECT (occurred_at AT TIME ZONE shop.time_zone)::date, event_type, count(*), count(DISTINCT user_id),
       count(DISTINCT product_id)
FROM events, shop
WHERE occurred_at >= shop_midnight(cast(:first AS date)) AND occurred_at < shop_midnight(cast(:last AS date) + 1)
  AND (occurred_at AT TIME ZONE shop.time_zone)::date = ANY(cast(:days AS date[]))
GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (date, event_type) DO UPDATE SET event_count = EXCLUDED.event_count,
    unique_users = EXCLUDED.unique_users, unique_products = EXCLUDED.unique_products
RETURNING event_count
"""


def days_to_count(connection: Connection, days: int) -> list[date]:
    """Return the last ``days`` days, including today, and every day that has events but was never counted."""
    return [row[0] for row in execute(connection, DAYS_TO_COUNT, {"days": days})]


def refresh(connection: Connection, days: list[date]) -> int:
    """Count the events of these days, replacing earlier counts, and return their total number."""
    if not days:
        return 0
    return sum(row[0] for row in execute(connection, REFRESH, {"days": days, "first": min(days), "last": max(days)}))
