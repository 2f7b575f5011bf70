"""Events per day and type, counted once a day so that the dashboard need not count the events themselves.

A day begins at midnight in the shop's time zone. A change of the zone counts later days, and days counted again.
"""

from datetime import date
from typing import Final

from shared.clients.postgres import Connection, execute

# columns of a day and type, over `events`
COUNTS: Final = """count(*) FILTER (WHERE returned < quantity),
       count(DISTINCT user_id) FILTER (WHERE returned < quantity),
       count(DISTINCT product_id) FILTER (WHERE returned < quantity)"""

# Refunds that took effect within these days count their purchases' days again: several, so that a run that failed is
# made up for.
REFUND_DAYS: Final = 7
# Older days of given-back purchases keep their counts: retention may have dropped some of their events.
MAX_REFUND_AGE_DAYS: Final = 90

# The last days; days that have events in the hourly rollup but were never counted, after a bulk load or if the job did
# not run; and days of purchases that were given back meanwhile. Late events of an older day that is counted already
# need a backfill (parameter `days` of the job).
DAYS_TO_COUNT: Final = """
SELECT day::date
FROM generate_series(shop_day(now()) - cast(:days AS integer) + 1, shop_day(now()), interval '1 day') AS day
UNION
SELECT day::date
FROM generate_series(shop_day((SELECT min(hour) FROM event_counts_hourly)), shop_day(now()), interval '1 day') AS day
WHERE NOT EXISTS (SELECT FROM daily_event_stats d WHERE d.date = day::date)
  AND EXISTS (SELECT FROM event_counts_hourly h
              WHERE h.hour >= shop_midnight(day::date) AND h.hour < shop_midnight(day::date + 1))
UNION
SELECT day FROM days_given_back(now() - make_interval(days => cast(:refund_days AS integer))) AS given_back(day)
WHERE day > shop_day(now()) - cast(:max_age AS integer)
ORDER BY 1
"""

OLDEST_GIVEN_BACK: Final = """
SELECT min(day) FROM days_given_back(now() - make_interval(days => cast(:refund_days AS integer))) AS r(day)"""

# Purchases that were given back whole are left out: what a shop sold is net of its refunds. A day of which all were has
# a row of 0. Numbers of different users cannot be added up, so days are counted as a whole. Nothing is deleted: a day
# whose events the retention job dropped keeps its counts.
REFRESH: Final = f"""
INSERT INTO daily_event_stats (date, event_type, event_count, unique_users, unique_products)
SELECT (occurred_at AT TIME ZONE shop.time_zone)::date, event_type, {COUNTS}
FROM events, shop
WHERE occurred_at >= shop_midnight(cast(:first AS date)) AND occurred_at < shop_midnight(cast(:last AS date) + 1)
  AND (occurred_at AT TIME ZONE shop.time_zone)::date = ANY(cast(:days AS date[]))
GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (date, event_type) DO UPDATE SET event_count = EXCLUDED.event_count,
    unique_users = EXCLUDED.unique_users, unique_products = EXCLUDED.unique_products
RETURNING event_count
"""

# The visitors of the days from one to another: everybody with an event. A visitor is new on the day of the first event,
# which is that of the user's row; an account's is that of its first guest, or a registration would make a visitor new
# again.
VISITORS_SINCE: Final = """
SELECT day, count(*) AS visitors, count(*) FILTER (WHERE first_day = day) AS new_visitors
FROM (SELECT DISTINCT (e.occurred_at AT TIME ZONE shop.time_zone)::date AS day, e.user_id
      FROM shop, events e
      WHERE e.occurred_at >= shop_midnight({first}) AND e.occurred_at < shop_midnight({last} + 1)) AS visits
CROSS JOIN shop JOIN users u ON u.id = visits.user_id
CROSS JOIN LATERAL (
    SELECT (least(u.created_at, min(g.created_at)) AT TIME ZONE shop.time_zone)::date AS first_day
    FROM users g WHERE g.merged_into = u.id
) AS beginnings
GROUP BY day"""
# A day without visitors has a row too, so that it is not counted again where it is read. Events that the job retention
# dropped change nothing: a count never shrinks.
REFRESH_VISITORS: Final = f"""
INSERT INTO daily_visitor_stats (date, visitors, new_visitors)
SELECT day, coalesce(visitors, 0), coalesce(new_visitors, 0)
FROM unnest(cast(:days AS date[])) AS day
LEFT JOIN ({VISITORS_SINCE.format(first="cast(:first AS date)", last="cast(:last AS date)")}) AS counted USING (day)
ORDER BY day
ON CONFLICT (date) DO UPDATE SET visitors = EXCLUDED.visitors, new_visitors = EXCLUDED.new_visitors
WHERE EXCLUDED.visitors > daily_visitor_stats.visitors
"""


def days_to_count(connection: Connection, days: int) -> list[date]:
    """Return the last ``days`` days with today, every day whose events were never counted, and days to count again."""
    parameters = {"days": days, "refund_days": REFUND_DAYS, "max_age": MAX_REFUND_AGE_DAYS}
    return [row[0] for row in execute(connection, DAYS_TO_COUNT, parameters)]


def refresh(connection: Connection, days: list[date]) -> int:
    """Count the events and visitors of these days, replacing earlier counts, and return the number of events."""
    if not days:
        return 0
    parameters = {"days": days, "first": min(days), "last": max(days)}
    execute(connection, REFRESH_VISITORS, parameters)
    return sum(row[0] for row in execute(connection, REFRESH, parameters))


def oldest_given_back(connection: Connection) -> date | None:
    """Return the oldest day of the purchases that were given back in the last REFUND_DAYS; None without any."""
    day: date | None = execute(connection, OLDEST_GIVEN_BACK, {"refund_days": REFUND_DAYS})[0][0]
    return day
