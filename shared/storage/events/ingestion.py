"""Store the events of a message in a single statement, which is its own transaction; each event takes effect once.

``event_ids`` decides which events are new, and only those are counted and folded into preferences. A message with an
already known id needs a second statement, which checks whose id it is (event_ids.py). Rows that several messages may
update concurrently are written in key order, so that messages never deadlock.
See docs/decisions/0007-exactly-once-in-one-statement.md.

Towards what all shoppers see, an event that is vouched for counts in full, and any other within bounds (bounds.py).
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import orjson

from shared.clients import postgres
from shared.clients.postgres import execute
from shared.domain.events import EVENT_WEIGHTS
from shared.domain.order_events import LINES_OF
from shared.event_origin import VOUCHED, Origin
from shared.storage.events import bounds, order_lines, refunds
from shared.storage.events.decayed_sums import DECAY, FACETS, fold
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
from shared.storage.events.refunds import RECORDED

NAMED_TWICE: Final = (
    "the refund names this product twice, by product_id and by external_id; name it once and add up its pieces"
)
# Maximum attempts for a message whose ids other messages store at the same time.
MAX_ATTEMPTS: Final = 5

# {key}, {is_known}, {is_other} and {known} come from event_ids.py, or are constants as long as no id is known;
# {countable} comes from bounds.py.
_STORE: Final = f"""
WITH {SENDER}, checked AS MATERIALIZED (
    SELECT e.*, {{key}} AS key, {{is_known}} AS is_known, p.category_id, p.brand, p.tags, p.price,
           CASE WHEN e.external_id IS NOT NULL AND e.by_external_id IS NULL
                THEN 'unknown external_id ' || quote_literal(e.external_id)
                WHEN e.by_external_id <> e.product_id
                THEN quote_literal(e.external_id) || ' is not the external_id of product ' || e.product_id
                WHEN e.product_id IS NOT NULL AND p.id IS NULL THEN 'unknown product ' || e.product_id
                {NOT_LINE} {{is_other}} END AS fault
    FROM (
        SELECT s.position, s.event_id, coalesce(s.product_id, x.id) AS product_id, s.event_type, s.quantity,
               s.occurred_at, s.session_id, s.metadata, s.external_id, x.id AS by_external_id
        FROM jsonb_to_recordset(cast(:events AS jsonb)) AS s(
            position integer, event_id uuid, product_id bigint, external_id text, event_type text, quantity integer,
            occurred_at timestamptz, session_id text, metadata jsonb)
        LEFT JOIN products x ON x.external_id = s.external_id
    ) AS e
    LEFT JOIN products p ON p.id = e.product_id {LINE} {{known}}
), valid AS MATERIALIZED (
    SELECT c.*, row_number() OVER same AS copy, (product_id, event_type, quantity) IS DISTINCT FROM (
               first_value(product_id) OVER same, first_value(event_type) OVER same, first_value(quantity) OVER same
           ) AS differs,
           -- by two lines: a message may repeat a line
           event_type = 'refund' AND metadata ->> '{LINES_OF}' IS NOT NULL
               AND min(key::text) OVER lines <> max(key::text) OVER lines AS is_named_twice
    FROM checked c WHERE fault IS NULL
    WINDOW same AS (PARTITION BY key ORDER BY position),
           lines AS (PARTITION BY event_type, metadata ->> '{LINES_OF}', product_id)
), incoming AS MATERIALIZED (
    SELECT key AS event_id, event_id AS sent_id, position, product_id, event_type, quantity, occurred_at, session_id,
           metadata, category_id, brand, tags, price
    FROM valid WHERE copy = 1 AND NOT is_known AND NOT is_named_twice
), rejected AS (
    INSERT INTO rejected_events (message_id, position, event, reason)
    SELECT :message_id, position,
           jsonb_build_object('user_id', cast(:user_id AS text)) || jsonb_build_object(
               'position', position, 'event_id', event_id, 'product_id', product_id, 'event_type', event_type,
               'quantity', quantity, 'occurred_at', occurred_at, 'session_id', session_id, 'metadata', metadata)
           || CASE WHEN external_id IS NULL THEN '{{{{}}}}' ELSE jsonb_build_object('external_id', external_id) END,
           reason
    FROM (
        SELECT position, event_id, product_id, event_type, quantity, occurred_at, session_id, metadata, external_id,
               fault AS reason
        FROM checked WHERE fault IS NOT NULL
        UNION ALL
        SELECT position, event_id, product_id, event_type, quantity, occurred_at, session_id, metadata, external_id,
               '{CONFLICT}'
        FROM valid WHERE differs
        UNION ALL
        SELECT position, event_id, product_id, event_type, quantity, occurred_at, session_id, metadata, external_id,
               '{NAMED_TWICE}'
        FROM valid WHERE is_named_twice
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
), {RECORDED}, {{countable}}, stored AS (
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
    FROM new, account, {FACETS.format(product="new")}
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
_UNKNOWN: Final = {"key": "e.event_id", "is_known": "false", "is_other": "", "known": ""}
_KNOWN: Final = {"key": KEY, "is_known": IS_KNOWN, "is_other": IS_OTHER, "known": KNOWN}
# Each in two forms: for the vast majority of messages, none of whose ids is known, which the insert into `event_ids`
# verifies; and for the rest.
STORE: Final = (
    _STORE.format(**_UNKNOWN, countable=bounds.ALL_COUNT),
    _STORE.format(**_KNOWN, countable=bounds.ALL_COUNT),
)
STORE_BOUNDED: Final = (
    _STORE.format(**_UNKNOWN, countable=bounds.BOUNDED),
    _STORE.format(**_KNOWN, countable=bounds.BOUNDED),
)
# The sender's events that did not count and that a later message vouches for, such as a purchase that the browser
# reported before the checkout did.
VOUCH: Final = f"""
WITH {SENDER}, known AS (
    SELECT coalesce(i.product_id, x.id) AS product_id, i.event_type, k.event_id, k.occurred_at
    FROM jsonb_to_recordset(cast(:events AS jsonb))
        AS i(event_id uuid, product_id bigint, external_id text, event_type text)
    LEFT JOIN products x ON x.external_id = i.external_id
    CROSS JOIN LATERAL (
        SELECT i.event_id UNION ALL SELECT {personal_key("n.external_id", "i.event_id")} FROM sender_ids n
    ) AS key(event_id)
    JOIN event_ids k ON k.event_id = key.event_id
), vouched AS (
    UPDATE events e SET counted = true
    FROM known i
    WHERE NOT e.counted AND e.returned < e.quantity AND e.event_id = i.event_id AND e.occurred_at = i.occurred_at
      AND e.product_id = i.product_id AND e.event_type = i.event_type
      AND e.user_id IN (SELECT u.id FROM users u JOIN sender_ids USING (external_id))
    RETURNING e.product_id, e.event_type, e.occurred_at
), lines AS (
    UPDATE purchase_lines l SET vouched = true
    FROM known i
    WHERE NOT l.vouched AND l.event_id = i.event_id AND l.product_id = i.product_id AND i.event_type = 'purchase'
      AND l.user_id IN (SELECT u.id FROM users u JOIN sender_ids USING (external_id))
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


class Stored(NamedTuple):
    """Numbers of new and of rejected events; ``account_id`` is set if they went to the account of a merged guest.

    ``purchase_changes`` are the ``(product_id, change)`` of purchase counts due to refunds.
    """

    new: int
    rejected: int
    account_id: str | None
    purchase_changes: Sequence[tuple[int, int]] = ()


def store(
    message_id: str,
    user_id: str,
    events: Sequence[dict[str, Any]],
    origin: Origin = VOUCHED,
    *,
    published_at: datetime | None = None,
    day: date | None = None,
) -> Stored:
    """Store a user's events and fold the new ones into counts and preferences, in one transaction.

    Each event is ``{position, event_id, product_id, event_type, quantity, occurred_at, session_id, metadata}``, with
    ``external_id`` instead of or in addition to ``product_id``. An event is rejected if its product is unknown, if the
    two ids do not belong to the same product, or if its id belongs to another event. A redelivered message stores
    nothing new. ``published_at`` decides whether a merged guest's events go to the account; ``day``, by default today
    in UTC, is the day on which the events count. Raises RuntimeError if concurrent messages kept storing the same ids;
    the message must then be redelivered.
    """
    events = order_lines.with_line_ids(events, vouched=origin.vouched)
    parameters: dict[str, Any] = {
        "message_id": message_id,
        "user_id": user_id,
        "events": orjson.dumps(list(events)).decode(),
        "event_types": [event_type.value for event_type in EVENT_WEIGHTS],
        "weights": list(EVENT_WEIGHTS.values()),
        "published_at": published_at,
        "vouched": origin.vouched,
    }
    if origin.vouched:
        unknown, known = STORE
    else:
        unknown, known = STORE_BOUNDED
        parameters |= bounds.parameters(user_id, origin, day)
    new, rejected, account_id = 0, 0, None
    for statement in (unknown, *(known,) * MAX_ATTEMPTS):
        # Retried after a broken connection; events that the first attempt stored are then not new.
        (row,) = postgres.run_prepared(statement, **parameters)
        new, rejected, account_id = new + int(row[0]), rejected + int(row[1]), row[2] or account_id
        if not row[3]:
            break
        # Some ids were known, or another message stored them meanwhile; the next attempt checks whose they are.
    else:
        raise RuntimeError("other messages keep storing the same event ids")
    if origin.vouched and new + rejected < len(events):
        # It is idempotent, so it may run in a separate transaction. It holds the person's lock, since a merge changes
        # the same events in a different order.
        with postgres.transaction() as connection:
            execute(connection, refunds.LOCK, {"user_id": user_id})
            execute(connection, VOUCH, {"user_id": user_id, "events": parameters["events"]})
    return Stored(new, rejected, account_id, refunds.settle_events(user_id, events))
