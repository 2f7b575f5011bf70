"""Storing the events of a message: one statement is the transaction, and each event takes effect once.

``event_ids`` decides which events are new, and only those are counted and folded into preferences. A message with an id
that is known takes a second statement, which sees whose id it is (event_ids.py). Rows that several
messages may update at the same time are written in key order, so that messages never deadlock.
See docs/decisions/0007-exactly-once-in-one-statement.md.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from shared.clients import postgres
from shared.domain.events import EVENT_WEIGHTS
from shared.domain.preferences import HALF_LIFE, MAX_HALVINGS
from shared.storage.events.event_ids import (
    CONFLICT,
    IS_KNOWN,
    IS_OTHER,
    KEY,
    KNOWN,
    LINE,
    NOT_LINE,
    SENDER,
    personal_key,
)

# of a message whose ids others store at the same time
MAX_ATTEMPTS: Final = 5
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


# {key}, {is_known}, {is_other} and {known} are those of event_ids.py, or what they are while no id is known
_STORE: Final = f"""
WITH {SENDER}, checked AS MATERIALIZED (
    SELECT e.*, {{key}} AS key, {{is_known}} AS is_known, p.category_id, p.brand, p.tags, p.price,
           CASE WHEN e.product_id IS NOT NULL AND p.id IS NULL THEN 'unknown product ' || e.product_id
                {NOT_LINE} {{is_other}} END AS fault
    FROM jsonb_to_recordset(cast(:events AS jsonb)) AS e(
        position integer, event_id uuid, product_id bigint, event_type text, quantity integer,
        occurred_at timestamptz, session_id text, metadata jsonb)
    LEFT JOIN products p ON p.id = e.product_id {LINE} {{known}}
), valid AS MATERIALIZED (
    SELECT c.*, row_number() OVER same AS copy, (product_id, event_type, quantity) IS DISTINCT FROM (
               first_value(product_id) OVER same, first_value(event_type) OVER same, first_value(quantity) OVER same
           ) AS differs
    FROM checked c WHERE fault IS NULL WINDOW same AS (PARTITION BY key ORDER BY position)
), incoming AS MATERIALIZED (
    SELECT key AS event_id, product_id, event_type, quantity, occurred_at, session_id, metadata,
           category_id, brand, tags, price
    FROM valid WHERE copy = 1 AND NOT is_known
), rejected AS (
    INSERT INTO rejected_events (message_id, position, event, reason)
    SELECT :message_id, position,
           jsonb_build_object('user_id', cast(:user_id AS text)) || jsonb_build_object(
               'position', position, 'event_id', event_id, 'product_id', product_id, 'event_type', event_type,
               'quantity', quantity, 'occurred_at', occurred_at, 'session_id', session_id, 'metadata', metadata),
           reason
    FROM (
        SELECT position, event_id, product_id, event_type, quantity, occurred_at, session_id, metadata, fault AS reason
        FROM checked WHERE fault IS NOT NULL
        UNION ALL
        SELECT position, event_id, product_id, event_type, quantity, occurred_at, session_id, metadata, '{CONFLICT}'
        FROM valid WHERE differs
    ) AS refused
    ON CONFLICT DO NOTHING
    RETURNING 1
), fresh AS (
    INSERT INTO event_ids (event_id, occurred_at) SELECT event_id, occurred_at FROM incoming ORDER BY event_id
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
    -- an event that was published before its guest was merged belongs to the account (shared/storage/people/merging.py)
    RETURNING CASE WHEN merged_at >= cast(:published_at AS timestamptz) THEN coalesce(merged_into, id) ELSE id END AS id
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
       (SELECT u.external_id FROM account a JOIN users u ON u.id = a.id WHERE u.external_id <> :user_id) AS account_id,
       (SELECT count(*) FROM incoming) - (SELECT count(*) FROM fresh) AS unsettled
"""
# For almost all messages: no id is known, which the insert into `event_ids` proves. The others take STORE_KNOWN.
STORE: Final = _STORE.format(key="e.event_id", is_known="false", is_other="", known="")
STORE_KNOWN: Final = _STORE.format(key=KEY, is_known=IS_KNOWN, is_other=IS_OTHER, known=KNOWN)

# For product_stats and the live popular ranking. `counted_purchases` makes it once each, independently of STORE: by the
# id of an order's line, otherwise by the sender's own key. Earlier releases counted every
# purchase under the id itself.
COUNT_PURCHASES: Final = f"""
WITH {SENDER}, incoming AS MATERIALIZED (
    SELECT DISTINCT ON (e.event_id) e.product_id,
           CASE WHEN line.is_purchase THEN e.event_id ELSE {personal_key("cast(:user_id AS text)")} END AS event_id
    FROM unnest(cast(:event_ids AS uuid[]), cast(:product_ids AS bigint[]), cast(:quantities AS integer[]))
        WITH ORDINALITY AS sent(event_id, product_id, quantity, position)
    CROSS JOIN LATERAL (
        SELECT sent.event_id, sent.product_id, sent.quantity, sent.position, 'purchase' AS event_type
    ) AS e
    JOIN products p ON p.id = e.product_id
    {LINE}
    WHERE line.is_purchase IS NOT FALSE
      AND NOT EXISTS (SELECT FROM counted_purchases c WHERE c.event_id = e.event_id)
      AND NOT EXISTS (
          SELECT FROM sender_ids n JOIN counted_purchases c ON c.event_id = {personal_key("n.external_id")})
    ORDER BY e.event_id, e.position
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


def store(
    message_id: str, user_id: str, events: Sequence[dict[str, Any]], published_at: datetime | None = None
) -> Stored:
    """Store a user's events and fold the new ones into counts and preferences, in one transaction.

    Each event is ``{position, event_id, product_id, event_type, quantity, occurred_at, session_id, metadata}``. An
    event is rejected if its product is unknown or its id is that of another event. The same message again stores
    nothing new. ``published_at`` decides whether a merged guest's events go to the account. Raises RuntimeError if
    others kept using the same ids at the same time; the message must be delivered again.
    """
    parameters: dict[str, Any] = {
        "message_id": message_id,
        "user_id": user_id,
        "events": orjson.dumps(list(events)).decode(),
        "event_types": [event_type.value for event_type in EVENT_WEIGHTS],
        "weights": list(EVENT_WEIGHTS.values()),
        "published_at": published_at,
    }
    new, rejected, account_id = 0, 0, None
    for statement in (STORE, *(STORE_KNOWN,) * MAX_ATTEMPTS):
        # Repeated after a broken connection: events that the first attempt stored are then not new.
        (row,) = postgres.run_prepared(statement, **parameters)
        new, rejected, account_id = new + int(row[0]), rejected + int(row[1]), row[2] or account_id
        if not row[3]:
            return Stored(new, rejected, account_id)
        # some ids were known, or stored by another message meanwhile: the next attempt sees whose they are
    raise RuntimeError("other messages keep storing the same event ids")


def count_purchases(
    user_id: str, event_ids: Sequence[str], product_ids: Sequence[int], quantities: Sequence[int]
) -> list[tuple[int, int]]:
    """Count a user's purchases that are not counted yet; return ``(product_id, new purchases)`` of changed products."""
    rows = postgres.run_prepared(
        COUNT_PURCHASES,
        user_id=user_id,
        event_ids=list(event_ids),
        product_ids=list(product_ids),
        quantities=list(quantities),
    )
    return [(int(row[0]), int(row[1])) for row in rows]
