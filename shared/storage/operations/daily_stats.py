"""Events per day and type, counted once a day so that the dashboard need not count the events themselves.

A day begins at midnight in the shop's time zone. A change of time zone affects only days counted (again) after it.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final, NamedTuple

from shared.clients.postgres import Connection, execute
from shared.storage.operations.retention import KEPT_SINCE

# The counts of a day and type, as aggregates over `events`.
COUNTS: Final = """count(*) FILTER (WHERE returned < quantity),
       count(DISTINCT user_id) FILTER (WHERE returned < quantity),
       count(DISTINCT product_id) FILTER (WHERE returned < quantity)"""

# The days of purchases refunded within this many days are counted again; several, to make up for failed runs.
REFUND_DAYS: Final = 7
# Older days keep their counts even if late events arrive, and so do days whose events retention may have dropped.
MAX_AGE_DAYS: Final = 90
# Events received before the start of the last successful run are counted already. The receipt time is the start of the
# transaction that stores the event, which commits within this many minutes.
COMMIT_MINUTES: Final = 60

# The last days; days with events in the hourly rollup that were never counted, as after a bulk load or a missed run;
# days of purchases refunded in the meantime; and days for which events were received since the last run. If no
# successful run is known, as after a restore, all events count as received since. The time bounds are subqueries, so
# that the index on times can be used; a function in their place would be called for each event.
DAYS_TO_COUNT: Final = f"""
WITH oldest AS MATERIALIZED (
    SELECT greatest(shop_day(now()) - cast(:max_age AS integer),
                    shop_day({KEPT_SINCE} - interval '1 microsecond')) + 1 AS day
)
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
WHERE day >= (SELECT oldest.day FROM oldest)
UNION
SELECT (e.occurred_at AT TIME ZONE shop.time_zone)::date
FROM shop, events e
WHERE e.received_at >= (
    SELECT coalesce(max(r.started_at), '-infinity') - make_interval(mins => cast(:commit_minutes AS integer))
    FROM job_runs r WHERE r.job = 'daily_stats' AND r.outcome = 'succeeded'
  ) AND e.occurred_at >= (SELECT shop_midnight(oldest.day) FROM oldest)
  AND e.occurred_at < (SELECT shop_midnight(shop_day(now()) - cast(:days AS integer) + 1))
ORDER BY 1
"""

# Consecutive days are read at once, and nothing between two spans: a BRIN index finds a span's blocks, since events lie
# on disk in the order in which they were stored.
#
# Where clocks are set back across midnight, midnight occurs twice, and shop_midnight returns the later one. So a span
# is read from three hours earlier, and only its days are counted. Since 2015 no clock has been set back further.
SPANS: Final = """
    SELECT first, last, shop_midnight(first) - interval '3 hours' AS begins, shop_midnight(last + 1) AS ends
    FROM unnest(cast(:firsts AS date[]), cast(:lasts AS date[])) AS span(first, last)"""

OLDEST_GIVEN_BACK: Final = """
SELECT min(day) FROM days_given_back(now() - make_interval(days => cast(:refund_days AS integer))) AS r(day)"""

# Completely refunded purchases are left out, so that sales are net of refunds. A day on which all were refunded has a
# row of 0. Numbers of distinct users cannot be added up, so a day is always counted as a whole. Nothing is deleted: a
# day whose events the retention job has dropped keeps its counts.
REFRESH: Final = f"""
WITH spans AS MATERIALIZED ({SPANS})
INSERT INTO daily_event_stats (date, event_type, event_count, unique_users, unique_products)
SELECT (occurred_at AT TIME ZONE shop.time_zone)::date, event_type, {COUNTS}
FROM spans JOIN events ON occurred_at >= begins AND occurred_at < ends CROSS JOIN shop
WHERE (occurred_at AT TIME ZONE shop.time_zone)::date BETWEEN first AND last
GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (date, event_type) DO UPDATE SET event_count = EXCLUDED.event_count,
    unique_users = EXCLUDED.unique_users, unique_products = EXCLUDED.unique_products
RETURNING event_count
"""

# The visitors per day in time spans (`begins`, `ends`): everybody with an event. A visitor is new on the day of the
# first event, which is when the user's row was created; for an account, when that of its first guest was, or
# registering would make a visitor new again. Users and guests are joined as sets: a lookup of each visitor's guests
# reads three pages, and a subquery would be computed for all users whenever they are hashed. OFFSET 0 makes the events
# be looked up span by span; a join might read the whole index on users.
VISITORS_OF: Final = """
SELECT day, count(*) AS visitors, count(*) FILTER (WHERE first_day = day) AS new_visitors
FROM (SELECT visits.day, (least(u.created_at, min(g.created_at)) AT TIME ZONE visits.time_zone)::date AS first_day
      FROM (SELECT DISTINCT (e.occurred_at AT TIME ZONE shop.time_zone)::date AS day, e.user_id, shop.time_zone
            FROM {spans} CROSS JOIN LATERAL (
                SELECT occurred_at, user_id FROM events WHERE occurred_at >= begins AND occurred_at < ends OFFSET 0
            ) AS e CROSS JOIN shop) AS visits
      JOIN users u ON u.id = visits.user_id
      LEFT JOIN users g ON g.merged_into = u.id AND g.merged_into IS NOT NULL
      GROUP BY visits.day, visits.time_zone, u.id) AS beginnings
GROUP BY day"""
# A day without visitors also gets a row, so that readers need not count it again. Events dropped by the job retention
# have no effect, because a count never decreases.
REFRESH_VISITORS: Final = f"""
WITH spans AS MATERIALIZED ({SPANS})
INSERT INTO daily_visitor_stats (date, visitors, new_visitors)
SELECT day, coalesce(visitors, 0), coalesce(new_visitors, 0)
FROM unnest(cast(:days AS date[])) AS day
LEFT JOIN ({VISITORS_OF.format(spans="spans")}) AS counted USING (day)
ORDER BY day
ON CONFLICT (date) DO UPDATE SET visitors = EXCLUDED.visitors, new_visitors = EXCLUDED.new_visitors
WHERE EXCLUDED.visitors > daily_visitor_stats.visitors
"""


class Span(NamedTuple):
    """Consecutive days, both ends inclusive."""

    first: date
    last: date


def spans_of(days: Iterable[date]) -> list[Span]:
    """Return the smallest number of spans that cover exactly these days, in order."""
    spans: list[Span] = []
    for day in sorted(set(days)):
        if spans and day - spans[-1].last == timedelta(days=1):
            spans[-1] = spans[-1]._replace(last=day)
        else:
            spans.append(Span(day, day))
    return spans


def days_to_count(connection: Connection, days: int, event_months: int) -> list[date]:
    """Return the last ``days`` days including today, all days never counted, and days to be counted again.

    Days whose events retention may have dropped are not counted again; it keeps events for ``event_months``.
    """
    parameters = {
        "days": days,
        "refund_days": REFUND_DAYS,
        "max_age": MAX_AGE_DAYS,
        "commit_minutes": COMMIT_MINUTES,
        "event_months": event_months,
    }
    return [row[0] for row in execute(connection, DAYS_TO_COUNT, parameters)]


def refresh(connection: Connection, days: list[date]) -> int:
    """Count the events and visitors of these days, replacing earlier counts, and return the number of events.

    Only these days are read.
    """
    if not days:
        return 0
    spans = spans_of(days)
    parameters = {"firsts": [span.first for span in spans], "lasts": [span.last for span in spans]}
    execute(connection, REFRESH_VISITORS, parameters | {"days": days})
    return sum(row[0] for row in execute(connection, REFRESH, parameters))


def oldest_given_back(connection: Connection) -> date | None:
    """Return the oldest day of the purchases refunded in the last REFUND_DAYS; None if there are none."""
    day: date | None = execute(connection, OLDEST_GIVEN_BACK, {"refund_days": REFUND_DAYS})[0][0]
    return day
