"""Storing the events of a message: one statement is the transaction, and each event takes effect once.

``event_ids`` decides which events are new, and only those are counted and folded into preferences. Rows that several
messages may update at the same time are written in key order, so that messages never deadlock.
See docs/decisions/0007-exactly-once-in-one-statement.md.

What all shoppers see counts an event that is vouched for in full, and any other within the bounds of
shared/domain/counting.py: ``daily_caps`` holds how often each visitor and each client counted today. Both statements
have rows of their own there, since either function may be redelivered alone.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson

from shared.clients import postgres
from shared.domain.counting import MAX_EVENTS_PER_MINUTE, MAX_PER_CLIENT, SEEN_WITHIN_DAYS
from shared.domain.events import EVENT_WEIGHTS, EventType
from shared.domain.preferences import HALF_LIFE, MAX_HALVINGS
from shared.event_origin import VOUCHED, Origin

# the share of a decayed sum that remains after the time between two points: `decay` of shared/domain/preferences.py
DECAY: Final = (
    "power(2::float8, -least(abs(extract(epoch FROM {later} - {earlier})::float8)"
    f" / {HALF_LIFE.total_seconds()}, {MAX_HALVINGS}))"
)


def fold(table: str, column: str) -> str:
    """Return the assignment that merges EXCLUDED into a stored decayed sum, as shared/domain/preferences.py does."""
    newer = DECAY.format(later="EXCLUDED.as_of", earlier=f"{table}.as_of")
    return f"""{column} = CASE WHEN EXCLUDED.as_of >= {table}.as_of
        THEN {table}.{column} * {newer} + EXCLUDED.{column}
        ELSE {table}.{column} + EXCLUDED.{column} * {newer} END"""


# The day is that of storing: a client may give its events any time.
CAPS_KEY: Final = "day, party, product_id, scope"
VISITOR: Final = "hashtextextended('visitor ' || cast(:user_id AS text), 0)"
CLIENT: Final = "hashtextextended('client ' || cast(:client AS text), 0)"
IS_MACHINE: Final = f"""EXISTS (
        SELECT FROM daily_caps
        WHERE day = cast(:day AS date) AND party = {VISITOR} AND product_id = 0 AND scope = 'machine')"""
# events by which the visitor saw the product of the purchase {purchase}; an index of users' events leads to them
SEEN: Final = f"""e.product_id = {{purchase}}.product_id AND e.event_type IN ('view', 'add_to_cart')
              AND e.occurred_at <= {{purchase}}.occurred_at
              AND e.occurred_at > {{purchase}}.occurred_at - interval '{SEEN_WITHIN_DAYS} days'"""


def admit(candidates: str, visitors: str, clients: str) -> str:
    """Return two common table expressions: rows of ``candidates`` (product_id, scope) that are the visitor's first
    today, and those of them that the client has left. Each inserts in key order.
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


_STORE: Final = f"""
WITH incoming AS MATERIALIZED (
    SELECT DISTINCT ON (e.event_id) e.*, p.id AS known_id, p.category_id, p.brand, p.tags, p.price
    FROM jsonb_to_recordset(cast(:events AS jsonb)) AS e(
        position integer, event_id uuid, product_id bigint, event_type text, quantity integer,
        occurred_at timestamptz, session_id text, metadata jsonb)
    LEFT JOIN products p ON p.id = e.product_id
    ORDER BY e.event_id, e.position
), rejected AS (
    INSERT INTO rejected_events (message_id, position, event, reason)
    SELECT :message_id, position,
           jsonb_build_object('user_id', cast(:user_id AS text)) || to_jsonb(i)
               - ARRAY['known_id', 'category_id', 'brand', 'tags', 'price'],
           'unknown product ' || product_id
    FROM incoming i WHERE product_id IS NOT NULL AND known_id IS NULL
    ON CONFLICT DO NOTHING
    RETURNING 1
), fresh AS (
    INSERT INTO event_ids (event_id, occurred_at)
    SELECT event_id, occurred_at FROM incoming WHERE product_id IS NULL OR known_id IS NOT NULL ORDER BY event_id
    ON CONFLICT DO NOTHING
    RETURNING event_id
), new AS MATERIALIZED (
    SELECT i.*, w.weight,
           coalesce(w.weight, 0) * {DECAY.format(later="max(occurred_at) OVER ()", earlier="occurred_at")} AS decayed,
           max(occurred_at) OVER () AS latest
    FROM incoming i JOIN fresh USING (event_id)
    LEFT JOIN unnest(cast(:event_types AS text[]), cast(:weights AS float8[])) AS w(event_type, weight)
        USING (event_type)
), account AS (
    INSERT INTO users (external_id, last_seen_at)
    SELECT cast(:user_id AS text), max(occurred_at) FROM new HAVING count(*) > 0
    ON CONFLICT (external_id) DO UPDATE SET last_seen_at = greatest(users.last_seen_at, EXCLUDED.last_seen_at)
    -- an event that arrives just after its guest was merged belongs to the account (shared/storage/people/merging.py)
    RETURNING CASE WHEN merged_at > now() - interval '10 minutes' THEN merged_into ELSE id END AS id
), {{countable}}, stored AS (
    INSERT INTO events (event_id, user_id, product_id, event_type, quantity, occurred_at, session_id, metadata, counted)
    SELECT event_id, account.id, n.product_id, n.event_type, quantity, n.occurred_at, session_id, metadata,
           c.event_id IS NOT NULL
    FROM account, new n LEFT JOIN countable c USING (event_id)
), counted AS (
    INSERT INTO event_counts_hourly (hour, product_id, event_type, event_count)
    SELECT date_trunc('hour', occurred_at, 'UTC'), product_id, event_type, count(*)
    FROM countable WHERE product_id IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (hour, product_id, event_type)
        DO UPDATE SET event_count = event_counts_hourly.event_count + EXCLUDED.event_count
), viewed AS (
    INSERT INTO product_stats (product_id, views)
    SELECT product_id, count(*) FROM countable WHERE event_type = 'view' GROUP BY 1 ORDER BY 1
    ON CONFLICT (product_id) DO UPDATE SET views = product_stats.views + EXCLUDED.views
), purchased AS (
    INSERT INTO user_purchases (user_id, product_id, purchase_count, first_at, last_at)
    SELECT account.id, product_id, count(*), min(occurred_at), max(occurred_at)
    FROM new, account WHERE event_type = 'purchase' GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (user_id, product_id) DO UPDATE SET
        purchase_count = user_purchases.purchase_count + EXCLUDED.purchase_count,
        first_at = least(user_purchases.first_at, EXCLUDED.first_at),
        last_at = greatest(user_purchases.last_at, EXCLUDED.last_at)
), liked AS (
    INSERT INTO user_preferences (user_id, kind, key, score, as_of)
    SELECT account.id, facet.kind, facet.key, sum(decayed), latest
    FROM new, account, LATERAL (
        SELECT 'category' AS kind, category_id::text AS key WHERE category_id IS NOT NULL
        UNION ALL SELECT 'brand', brand WHERE brand IS NOT NULL
        UNION ALL SELECT 'tag', tag FROM unnest(tags) AS tag
    ) AS facet
    WHERE decayed > 0 GROUP BY 1, 2, 3, latest ORDER BY 1, 2, 3
    ON CONFLICT (user_id, kind, key) DO UPDATE SET
        {fold("user_preferences", "score")}, as_of = greatest(user_preferences.as_of, EXCLUDED.as_of)
), priced AS (
    INSERT INTO user_price_bands (user_id, weight, log_sum, square_sum, as_of)
    SELECT account.id, sum(decayed), sum(decayed * ln(price::float8)), sum(decayed * ln(price::float8) ^ 2), latest
    FROM new, account WHERE decayed > 0 AND price > 0 GROUP BY account.id, latest
    ON CONFLICT (user_id) DO UPDATE SET
        {fold("user_price_bands", "weight")}, {fold("user_price_bands", "log_sum")},
        {fold("user_price_bands", "square_sum")}, as_of = greatest(user_price_bands.as_of, EXCLUDED.as_of)
)
SELECT (SELECT count(*) FROM new) AS stored, (SELECT count(*) FROM rejected) AS rejected,
       (SELECT u.external_id FROM account a JOIN users u ON u.id = a.id WHERE u.external_id <> :user_id) AS account_id
"""

# of events that are vouched for
STORE: Final = _STORE.replace(
    "{countable}", "countable AS (SELECT event_id, product_id, event_type, occurred_at FROM new)"
)
# of any others
STORE_BOUNDED: Final = _STORE.replace(
    "{countable}",
    f"""minutes AS (
    -- events of this message and of stored ones, by the minutes of this message
    SELECT date_trunc('minute', occurred_at) AS minute, count(*) AS number FROM (
        SELECT occurred_at FROM new WHERE event_type <> 'purchase'
        UNION ALL
        SELECT e.occurred_at FROM events e, account
        WHERE e.user_id = account.id AND e.event_type <> 'purchase'
          AND e.occurred_at >= (SELECT date_trunc('minute', min(occurred_at)) FROM new)
          AND e.occurred_at < (SELECT date_trunc('minute', max(occurred_at)) + interval '1 minute' FROM new)
    ) AS paced GROUP BY 1
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
)""",
)
# Events that did not count and that a later message vouches for: a purchase of a checkout that the browser reported
# before.
VOUCH: Final = """
WITH vouched AS (
    UPDATE events e SET counted = true
    FROM jsonb_to_recordset(cast(:events AS jsonb)) AS i(event_id uuid, product_id bigint, event_type text)
    JOIN event_ids k USING (event_id)
    WHERE NOT e.counted AND e.event_id = k.event_id AND e.occurred_at = k.occurred_at
      AND e.product_id = i.product_id AND e.event_type = i.event_type
    RETURNING e.product_id, e.event_type, e.occurred_at
), counted AS (
    INSERT INTO event_counts_hourly (hour, product_id, event_type, event_count)
    SELECT date_trunc('hour', occurred_at, 'UTC'), product_id, event_type, count(*)
    FROM vouched GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (hour, product_id, event_type)
        DO UPDATE SET event_count = event_counts_hourly.event_count + EXCLUDED.event_count
)
INSERT INTO product_stats (product_id, views)
SELECT product_id, count(*) FROM vouched WHERE event_type = 'view' GROUP BY 1 ORDER BY 1
ON CONFLICT (product_id) DO UPDATE SET views = product_stats.views + EXCLUDED.views
"""

# For product_stats and the live popular ranking. `counted_purchases` makes it once each, independently of STORE.
# `seen`: the message itself has a view or an addition to the cart that lets the purchase count.
_COUNT_PURCHASES: Final = """
WITH incoming AS MATERIALIZED (
    SELECT DISTINCT ON (e.event_id) e.event_id, e.product_id, e.occurred_at, e.seen
    FROM unnest(cast(:event_ids AS uuid[]), cast(:product_ids AS bigint[]), cast(:times AS timestamptz[]),
                cast(:seen AS boolean[])) AS e(event_id, product_id, occurred_at, seen)
    JOIN products p ON p.id = e.product_id ORDER BY e.event_id
), {decided}, fresh AS (
    INSERT INTO counted_purchases (event_id, counted) SELECT event_id, counted FROM decided ORDER BY event_id
    ON CONFLICT (event_id) DO {on_conflict}
    RETURNING event_id, counted
), counts AS (
    SELECT product_id, count(*) AS purchases FROM incoming JOIN fresh USING (event_id) WHERE counted GROUP BY 1
)
INSERT INTO product_stats (product_id, purchase_count) SELECT product_id, purchases FROM counts ORDER BY 1
ON CONFLICT (product_id) DO UPDATE SET purchase_count = product_stats.purchase_count + EXCLUDED.purchase_count
RETURNING product_id, (SELECT purchases FROM counts WHERE counts.product_id = product_stats.product_id)
"""
# vouched for; also of a purchase that did not count before
COUNT_PURCHASES: Final = _COUNT_PURCHASES.format(
    decided="decided AS (SELECT event_id, true AS counted FROM incoming)",
    on_conflict="UPDATE SET counted = true WHERE NOT counted_purchases.counted",
)
# any others
COUNT_BOUNDED_PURCHASES: Final = _COUNT_PURCHASES.format(
    decided=f"""candidates AS MATERIALIZED (
    SELECT DISTINCT ON (i.product_id) i.event_id, i.product_id, 'popular' AS scope FROM incoming i
    WHERE NOT cast(:crawler AS boolean) AND NOT {IS_MACHINE}
      AND NOT EXISTS (SELECT FROM counted_purchases c WHERE c.event_id = i.event_id)
      AND (i.seen OR EXISTS (
        SELECT FROM users u JOIN events e ON e.user_id IN (u.id, u.merged_into)
        WHERE u.external_id = :user_id AND {SEEN.format(purchase="i")}))
    ORDER BY i.product_id, i.event_id
), {admit("candidates", "first_today", "admitted")}, decided AS MATERIALIZED (
    SELECT event_id, event_id IN (SELECT event_id FROM admitted JOIN candidates USING (product_id)) AS counted
    FROM incoming
)""",
    on_conflict="NOTHING",
)


class Stored(NamedTuple):
    """Numbers of new and of rejected events; ``account_id`` is set if they went to the account of a merged guest."""

    new: int
    rejected: int
    account_id: str | None


def _bounds(user_id: str, origin: Origin, day: date | None) -> dict[str, Any]:
    """Return the parameters that bound how much events count; senders that are unknown are one client."""
    return {
        "user_id": user_id,
        "client": origin.client or "",
        "crawler": origin.crawler,
        "day": day or datetime.now(UTC).date(),
    }


def store(
    message_id: str,
    user_id: str,
    events: Sequence[dict[str, Any]],
    origin: Origin = VOUCHED,
    *,
    day: date | None = None,
) -> Stored:
    """Store a user's events and fold the new ones into counts and preferences, in one transaction.

    Each event is ``{position, event_id, product_id, event_type, quantity, occurred_at, session_id, metadata}``. An
    event with an unknown product is rejected. The same message again stores nothing new. ``day``, by default today in
    UTC, is the day on which the events count.
    """
    parameters: dict[str, Any] = {
        "message_id": message_id,
        "events": orjson.dumps(list(events)).decode(),
        "event_types": [event_type.value for event_type in EVENT_WEIGHTS],
        "weights": list(EVENT_WEIGHTS.values()),
    }
    # Repeated after a broken connection: events that the first attempt stored are then not new.
    if not origin.vouched:
        (row,) = postgres.run_prepared(STORE_BOUNDED, **parameters, **_bounds(user_id, origin, day))
    else:
        (row,) = postgres.run_prepared(STORE, user_id=user_id, **parameters)
        if int(row[0]) + int(row[1]) < len(events):
            # repeating it changes nothing, so it may follow in a transaction of its own
            postgres.run_prepared(VOUCH, events=parameters["events"])
    return Stored(int(row[0]), int(row[1]), row[2])


def count_purchases(
    user_id: str, events: Sequence[dict[str, Any]], origin: Origin = VOUCHED, *, day: date | None = None
) -> list[tuple[int, int]]:
    """Count the purchases among a user's events, as ``store`` takes them, that were not counted yet.

    Returns ``(product_id, new purchases)`` of the products whose counts changed.
    """
    purchases = [event for event in events if event["event_type"] == EventType.PURCHASE]
    if not purchases:
        return []
    parameters: dict[str, Any] = {
        "event_ids": [event["event_id"] for event in purchases],
        "product_ids": [event["product_id"] for event in purchases],
        "times": [event["occurred_at"] for event in purchases],
        "seen": _seen(purchases, events),
    }
    if origin.vouched:
        rows = postgres.run_prepared(COUNT_PURCHASES, **parameters)
    else:
        rows = postgres.run_prepared(COUNT_BOUNDED_PURCHASES, **parameters, **_bounds(user_id, origin, day))
    return [(int(row[0]), int(row[1])) for row in rows]


def _seen(purchases: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]]) -> list[bool]:
    """Return of each purchase whether a view or an addition to the cart among ``events`` lets it count."""
    seen: dict[int, list[datetime]] = {}
    for event in events:
        if event["event_type"] in (EventType.VIEW, EventType.ADD_TO_CART):
            seen.setdefault(event["product_id"], []).append(datetime.fromisoformat(event["occurred_at"]))
    days = timedelta(days=SEEN_WITHIN_DAYS)
    return [
        any(timedelta(0) <= datetime.fromisoformat(purchase["occurred_at"]) - at < days for at in times)
        for purchase in purchases
        for times in [seen.get(purchase["product_id"], [])]
    ]
