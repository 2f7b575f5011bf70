"""Which events count towards what all shoppers see: SQL shared by the statements that store and count events.

An event that is vouched for counts in full, any other within the bounds of shared/domain/counting.py: ``daily_caps``
records how often each visitor and each client has counted today. Storing and counting use separate scopes there, since
a message may be redelivered to either function alone. docs/decisions/0025-what-counts.md has the rules.

The fragments read the parameters of ``parameters()``.
"""

from datetime import UTC, date, datetime
from typing import Any, Final

from shared.domain.counting import MAX_EVENTS_PER_MINUTE, MAX_PER_CLIENT, SEEN_WITHIN_DAYS
from shared.event_origin import Origin

# The day is when the event is stored, because a client may give its events any time.
CAPS_KEY: Final = "day, party, product_id, scope"
VISITOR: Final = "hashtextextended('visitor ' || cast(:user_id AS text), 0)"
CLIENT: Final = "hashtextextended('client ' || cast(:client AS text), 0)"
IS_MACHINE: Final = f"""EXISTS (
        SELECT FROM daily_caps
        WHERE day = cast(:day AS date) AND party = {VISITOR} AND product_id = 0 AND scope = 'machine')"""
# Events that show that the visitor saw the product of the purchase {purchase}; found by the index on users' events.
SEEN: Final = f"""e.product_id = {{purchase}}.product_id AND e.event_type IN ('view', 'add_to_cart')
              AND e.occurred_at <= {{purchase}}.occurred_at
              AND e.occurred_at > {{purchase}}.occurred_at - interval '{SEEN_WITHIN_DAYS} days'"""


def admit(candidates: str, visitors: str, clients: str) -> str:
    """Return two common table expressions: the rows of ``candidates`` (product_id, scope) that are the visitor's first
    today, and those of them within the client's daily limit. Each inserts in key order.
    """
    return f"""{visitors} AS (
    INSERT INTO daily_caps ({CAPS_KEY}, count)
    SELECT cast(:day AS date), {VISITOR}, product_id, scope, 1 FROM {candidates} ORDER BY product_id, scope
    ON CONFLICT ({CAPS_KEY}) DO NOTHING
    RETURNING product_id, scope
), {clients} AS (
    INSERT INTO daily_caps ({CAPS_KEY}, count)
    SELECT cast(:day AS date), {CLIENT}, product_id, scope, 1 FROM {visitors} ORDER BY product_id, scope
    ON CONFLICT ({CAPS_KEY}) DO UPDATE SET count = daily_caps.count + 1 WHERE daily_caps.count < {MAX_PER_CLIENT}
    RETURNING product_id, scope
)"""


# The CTE ``countable``, for a statement with the CTEs ``new`` and ``account``: for events that are vouched for …
ALL_COUNT: Final = "countable AS (SELECT event_id, product_id, event_type, occurred_at FROM new)"
# … and for all others.
BOUNDED: Final = f"""minutes AS (
    -- Events of this message and of stored ones, by the minutes of this message. Those minutes alone are read, and no
    -- more of each than decides: a client may write any number of events, and name any times.
    SELECT own.number + stored.number AS number FROM (
        SELECT date_trunc('minute', occurred_at) AS minute, count(*) AS number
        FROM new WHERE event_type <> 'purchase' GROUP BY 1
    ) AS own, account, LATERAL (
        SELECT count(*) AS number FROM (
            SELECT FROM events e
            WHERE e.user_id = account.id AND e.event_type <> 'purchase'
              AND e.occurred_at >= own.minute AND e.occurred_at < own.minute + interval '1 minute'
            LIMIT {MAX_EVENTS_PER_MINUTE}
        ) AS few
    ) AS stored
), machine AS (
    INSERT INTO daily_caps ({CAPS_KEY}, count)
    SELECT cast(:day AS date), {VISITOR}, 0, 'machine', max(number) FROM minutes
    HAVING max(number) > {MAX_EVENTS_PER_MINUTE}
    ON CONFLICT ({CAPS_KEY}) DO UPDATE SET count = greatest(daily_caps.count, EXCLUDED.count)
    RETURNING 1
), person AS MATERIALIZED (
    SELECT WHERE NOT cast(:crawler AS boolean) AND NOT EXISTS (SELECT FROM machine) AND NOT {IS_MACHINE}
), candidates AS MATERIALIZED (
    SELECT DISTINCT ON (n.product_id, n.event_type) n.event_id, n.product_id, n.event_type AS scope
    FROM new n, account, person
    WHERE n.product_id IS NOT NULL AND (n.event_type <> 'purchase' OR EXISTS (
        SELECT FROM new e WHERE {SEEN.format(purchase="n")}
    ) OR EXISTS (
        SELECT FROM events e WHERE e.user_id = account.id AND {SEEN.format(purchase="n")}
    ))
    ORDER BY n.product_id, n.event_type, n.occurred_at, n.position
), {admit("candidates", "first_today", "admitted")}, countable AS MATERIALIZED (
    SELECT event_id, product_id, event_type, occurred_at FROM new
    WHERE product_id IS NULL AND EXISTS (SELECT FROM person)
    UNION ALL
    SELECT event_id, product_id, n.event_type, n.occurred_at
    FROM admitted JOIN candidates USING (product_id, scope) JOIN new n USING (event_id, product_id)
)"""


def parameters(user_id: str, origin: Origin, day: date | None) -> dict[str, Any]:
    """Return the parameters of the fragments; all unknown senders together are one client."""
    return {
        "user_id": user_id,
        "client": origin.client or "",
        "crawler": origin.crawler,
        "day": day or datetime.now(UTC).date(),
    }
