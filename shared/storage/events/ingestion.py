"""Storing the events of a message: one statement is the transaction, and each event takes effect once.

``event_ids`` decides which events are new, and only those are counted and folded into preferences. Rows that several
messages may update at the same time are written in key order, so that messages never deadlock.
See docs/decisions/0007-exactly-once-in-one-statement.md.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from shared.clients import postgres
from shared.domain.events import EVENT_WEIGHTS
from shared.domain.preferences import HALF_LIFE, MAX_HALVINGS

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


STORE: Final = f"""
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
), stored AS (
    INSERT INTO events (event_id, user_id, product_id, event_type, quantity, occurred_at, session_id, metadata)
    SELECT event_id, account.id, product_id, event_type, quantity, occurred_at, session_id, metadata FROM new, account
), counted AS (
    INSERT INTO event_counts_hourly (hour, product_id, event_type, event_count)
    SELECT date_trunc('hour', occurred_at, 'UTC'), product_id, event_type, count(*)
    FROM new WHERE product_id IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (hour, product_id, event_type)
        DO UPDATE SET event_count = event_counts_hourly.event_count + EXCLUDED.event_count
), viewed AS (
    INSERT INTO product_stats (product_id, views)
    SELECT product_id, count(*) FROM new WHERE event_type = 'view' GROUP BY 1 ORDER BY 1
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

# For product_stats and the live popular ranking. `counted_purchases` makes it once each, independently of STORE.
COUNT_PURCHASES: Final = """
WITH incoming AS (
    SELECT DISTINCT ON (e.event_id) e.event_id, e.product_id
    FROM unnest(cast(:event_ids AS uuid[]), cast(:product_ids AS bigint[])) AS e(event_id, product_id)
    JOIN products p ON p.id = e.product_id ORDER BY e.event_id
), fresh AS (
    INSERT INTO counted_purchases (event_id) SELECT event_id FROM incoming ORDER BY event_id
    ON CONFLICT DO NOTHING RETURNING event_id
), counts AS (
    SELECT product_id, count(*) AS purchases FROM incoming JOIN fresh USING (event_id) GROUP BY 1
)
INSERT INTO product_stats (product_id, purchase_count) SELECT product_id, purchases FROM counts ORDER BY 1
ON CONFLICT (product_id) DO UPDATE SET purchase_count = product_stats.purchase_count + EXCLUDED.purchase_count
RETURNING product_id, (SELECT purchases FROM counts WHERE counts.product_id = product_stats.product_id)
"""


class Stored(NamedTuple):
    """Numbers of new and of rejected events; ``account_id`` is set if they went to the account of a merged guest."""

    new: int
    rejected: int
    account_id: str | None


def store(message_id: str, user_id: str, events: Sequence[dict[str, Any]]) -> Stored:
    """Store a user's events and fold the new ones into counts and preferences, in one transaction.

    Each event is ``{position, event_id, product_id, event_type, quantity, occurred_at, session_id, metadata}``. An
    event with an unknown product is rejected. The same message again stores nothing new.
    """
    # Repeated after a broken connection: events that the first attempt stored are then not new.
    (row,) = postgres.run_prepared(
        STORE,
        message_id=message_id,
        user_id=user_id,
        events=orjson.dumps(list(events)).decode(),
        event_types=[event_type.value for event_type in EVENT_WEIGHTS],
        weights=list(EVENT_WEIGHTS.values()),
    )
    return Stored(int(row[0]), int(row[1]), row[2])


def count_purchases(event_ids: Sequence[str], product_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Count purchases that were not counted yet; return ``(product_id, new purchases)`` of the changed products."""
    rows = postgres.run_prepared(COUNT_PURCHASES, event_ids=list(event_ids), product_ids=list(product_ids))
    return [(int(row[0]), int(row[1])) for row in rows]
