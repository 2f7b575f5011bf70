"""Bulk-load events and all data derived from them in a few set-based statements.

The rules are the same as for a message (event_ids.py and ingestion.py): ``event_ids`` decides which events are new, and
only new ones are counted and folded. So each event of a history counts once, even if the history is loaded repeatedly,
in parts or into a running shop.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from shared.clients.postgres import Connection, copy_in, execute
from shared.domain.events import EVENT_WEIGHTS
from shared.domain.order_events import ORDER_ID_CHARACTERS
from shared.storage.events.decayed_sums import DECAY, FACETS, fold
from shared.storage.events.event_ids import CONFLICT, ORDER_LINE, personal_key

# `position` is the caller's row number; `external_id` or `product_id` names the product, and a search has neither.
STAGE: Final = (
    """CREATE TEMP TABLE IF NOT EXISTS history_rows (
    position bigint NOT NULL, event_id uuid NOT NULL, user_key text NOT NULL, external_id text, product_id bigint,
    event_type text NOT NULL, quantity integer NOT NULL, occurred_at timestamptz NOT NULL, session_id text,
    metadata jsonb
) ON COMMIT DROP""",
    # `key` is the id under which the row counts (event_ids.py), `event_id` the id given in the row.
    """CREATE TEMP TABLE IF NOT EXISTS history_checked (
    position bigint NOT NULL, event_id uuid NOT NULL, key uuid NOT NULL, user_key text NOT NULL, product_id bigint,
    event_type text NOT NULL, quantity integer NOT NULL, occurred_at timestamptz NOT NULL, session_id text,
    metadata jsonb, is_known boolean NOT NULL, fault text
) ON COMMIT DROP""",
    """CREATE TEMP TABLE IF NOT EXISTS history_new (
    event_id uuid NOT NULL, sent_id uuid NOT NULL, user_key text NOT NULL, product_id bigint, event_type text NOT NULL,
    quantity integer NOT NULL, occurred_at timestamptz NOT NULL, session_id text, metadata jsonb
) ON COMMIT DROP""",
    # Sums of the weights of each user's new events by product, decayed to the time of the user's last new event.
    """CREATE TEMP TABLE IF NOT EXISTS history_pairs (
    user_id bigint NOT NULL, product_id bigint NOT NULL, decayed double precision NOT NULL, latest timestamptz NOT NULL
) ON COMMIT DROP""",
    # Events stored earlier that did not count until now.
    """CREATE TEMP TABLE IF NOT EXISTS history_vouched (
    event_id uuid NOT NULL, sent_id uuid NOT NULL, user_key text NOT NULL, user_id bigint NOT NULL, product_id bigint,
    event_type text NOT NULL, occurred_at timestamptz NOT NULL
) ON COMMIT DROP""",
    # Order lines that were not vouched for until now, whether or not their purchases counted.
    """CREATE TEMP TABLE IF NOT EXISTS history_vouched_lines (
    event_id uuid NOT NULL, user_id bigint NOT NULL
) ON COMMIT DROP""",
    "TRUNCATE history_rows, history_checked, history_new, history_pairs, history_vouched, history_vouched_lines",
    # Keeps aggregates over a whole chunk in memory.
    "SET LOCAL work_mem = '64MB'",
)
COLUMNS: Final = (
    "position",
    "event_id",
    "user_key",
    "external_id",
    "product_id",
    "event_type",
    "quantity",
    "occurred_at",
    "session_id",
    "metadata",
)
COPY: Final = f"COPY history_rows ({', '.join(COLUMNS)}) FROM STDIN (FORMAT csv)"

# The shop's own id takes precedence over Aisle's.
_PRODUCT: Final = """LEFT JOIN products own ON own.external_id = r.external_id
    LEFT JOIN products ours ON r.external_id IS NULL AND ours.id = r.product_id"""
UNKNOWN_PRODUCTS: Final = f"""
SELECT r.position, coalesce(r.external_id, r.product_id::text) FROM history_rows r {_PRODUCT}
WHERE coalesce(r.external_id, r.product_id::text) IS NOT NULL AND coalesce(own.id, ours.id) IS NULL
ORDER BY r.position"""
# Only for months that occur, so that a single old row does not create hundreds of partitions.
PARTITIONS: Final = """
SELECT sum(ensure_event_partitions(month, month)) FROM (
    SELECT DISTINCT date_trunc('month', occurred_at AT TIME ZONE 'UTC')::date AS month
    FROM history_rows ORDER BY 1) AS months"""
# Rows of known products, each with its key and any fault of its id: the rules of event_ids.py, for many people at once.
# Of several rows with one id, the first decides. Tables that grow with the shop's history are looked up row by row,
# which LATERAL and LIMIT force despite PLAN_IN_BULK; a join would read the whole history for every chunk.
_PERSON: Final = "coalesce('row ' || coalesce(u.merged_into, u.id), 'id ' || r.user_key)"
_STORED: Final = """LEFT JOIN LATERAL (
        SELECT user_id, product_id, event_type, quantity FROM events
        WHERE event_id = k.event_id AND occurred_at = k.occurred_at LIMIT 1
    ) AS s ON true"""
CHECKED: Final = f"""
INSERT INTO history_checked
WITH known AS MATERIALIZED (
    SELECT r.*, coalesce(own.id, ours.id) AS known_id, {_PERSON} AS person FROM history_rows r {_PRODUCT}
    LEFT JOIN users u ON u.external_id = r.user_key
    WHERE coalesce(own.id, ours.id) IS NOT NULL OR (r.external_id IS NULL AND r.product_id IS NULL)
), lines AS MATERIALIZED (
    SELECT r.position, r.event_type = 'purchase' AND r.known_id = i.product_id AND r.quantity = i.quantity
        AND (o.user_id IS NULL OR r.person = 'row ' || coalesce(w.merged_into, w.id))
        AND EXISTS (SELECT FROM order_state_changes h WHERE h.order_id = o.id AND h.state = 'paid') AS is_purchase
    FROM known r
    CROSS JOIN LATERAL (
        SELECT order_id, product_id, quantity FROM order_items WHERE event_id = r.event_id LIMIT 1
    ) AS i
    CROSS JOIN LATERAL (SELECT id, user_id FROM orders WHERE id = i.order_id LIMIT 1) AS o
    LEFT JOIN users w ON w.id = o.user_id
), plain AS MATERIALIZED (
    SELECT r.position, coalesce(r.person = 'row ' || coalesce(w.merged_into, w.id), false) AS is_own,
           s.product_id, s.event_type, s.quantity
    FROM known r
    CROSS JOIN LATERAL (SELECT event_id, occurred_at FROM event_ids WHERE event_id = r.event_id LIMIT 1) AS k
    {_STORED}
    LEFT JOIN users w ON w.id = s.user_id
), led AS MATERIALIZED (
    -- whether the key is the id itself: if that is the person's, or free and the person is the first to use it
    SELECT r.*, l.is_purchase, coalesce(p.is_own, r.person = first_value(r.person) OVER (
               PARTITION BY r.event_id, l.is_purchase IS NOT FALSE ORDER BY r.position)) AS is_plain,
           coalesce(p.is_own, false) AS is_known, p.product_id AS stored_product, p.event_type AS stored_type,
           p.quantity AS stored_quantity
    FROM known r LEFT JOIN lines l USING (position) LEFT JOIN plain p USING (position)
), names AS (
    SELECT position, event_id, user_key AS name FROM led WHERE NOT is_plain
    UNION SELECT r.position, r.event_id, g.external_id FROM led r JOIN users u ON u.external_id = r.user_key
    JOIN users g ON g.id = u.merged_into WHERE NOT r.is_plain
    UNION SELECT r.position, r.event_id, g.external_id FROM led r JOIN users u ON u.external_id = r.user_key
    JOIN users g ON g.merged_into = coalesce(u.merged_into, u.id) WHERE NOT r.is_plain
), personal AS MATERIALIZED (
    SELECT DISTINCT ON (n.position) n.position, k.event_id AS key, s.product_id, s.event_type, s.quantity
    FROM names n
    CROSS JOIN LATERAL (
        SELECT event_id, occurred_at FROM event_ids
        WHERE event_id = {personal_key("n.name", "n.event_id")} LIMIT 1
    ) AS k
    {_STORED}
    ORDER BY n.position
), keyed AS (
    SELECT r.*, CASE WHEN r.is_plain THEN r.event_id
                     ELSE coalesce(p.key, {personal_key("r.user_key", "r.event_id")}) END AS key,
           CASE WHEN NOT r.is_purchase THEN '{ORDER_LINE}'
                WHEN r.is_known AND (r.known_id, r.event_type, r.quantity)
                    IS DISTINCT FROM (r.stored_product, r.stored_type, r.stored_quantity)
                  OR p.key IS NOT NULL AND (r.known_id, r.event_type, r.quantity)
                    IS DISTINCT FROM (p.product_id, p.event_type, p.quantity) THEN '{CONFLICT}' END AS fault,
           r.is_known OR p.key IS NOT NULL AS is_stored
    FROM led r LEFT JOIN personal p USING (position)
)
SELECT position, event_id, key, user_key, known_id, event_type, quantity, occurred_at, session_id, metadata,
       is_stored OR row_number() OVER same > 1,
       CASE WHEN fault IS NOT NULL THEN fault
            WHEN (known_id, event_type, quantity) IS DISTINCT FROM (
                first_value(known_id) OVER same, first_value(event_type) OVER same, first_value(quantity) OVER same
            ) THEN '{CONFLICT}' END
FROM keyed WINDOW same AS (PARTITION BY key, fault IS NULL ORDER BY position)"""
NEW: Final = """
WITH fresh AS (
    INSERT INTO event_ids (event_id, occurred_at)
    SELECT key, occurred_at FROM history_checked WHERE fault IS NULL AND NOT is_known ORDER BY key
    ON CONFLICT DO NOTHING
    RETURNING event_id
)
INSERT INTO history_new
SELECT key, event_id, user_key, product_id, event_type, quantity, occurred_at, session_id, metadata
FROM history_checked c JOIN fresh f(key) USING (key) WHERE fault IS NULL AND NOT is_known"""
FAULTS: Final = "SELECT position, fault FROM history_checked WHERE fault IS NOT NULL ORDER BY position"
# Locks users in id order, as a merge does, before any of their data is written.
LOCK_USERS: Final = """
SELECT count(*) FROM (
    SELECT id FROM users
    WHERE external_id IN (SELECT user_key FROM history_new) OR id IN (SELECT user_id FROM history_vouched)
       OR id IN (SELECT user_id FROM history_vouched_lines)
    ORDER BY id FOR NO KEY UPDATE
) AS locked"""
# Unchanged rows are not rewritten: each chunk of a history has events of most users, and a new version of each user's
# row per chunk would multiply the table's size by the number of chunks.
USERS: Final = """
INSERT INTO users (external_id, created_at, last_seen_at)
SELECT user_key, least(min(occurred_at), now()), max(occurred_at) FROM history_new GROUP BY user_key ORDER BY user_key
ON CONFLICT (external_id) DO UPDATE SET last_seen_at = EXCLUDED.last_seen_at
WHERE users.last_seen_at < EXCLUDED.last_seen_at"""
# Inserted in order of time, so that each block range covers few days, as the BRIN index on times needs.
EVENTS: Final = """
INSERT INTO events (event_id, user_id, product_id, event_type, quantity, occurred_at, session_id, metadata)
SELECT n.event_id, u.id, n.product_id, n.event_type, n.quantity, n.occurred_at, n.session_id, n.metadata
FROM history_new n JOIN users u ON u.external_id = n.user_key ORDER BY n.occurred_at"""
# A history is vouched for, so events that it repeats count from now on, as in VOUCH of ingestion.py. Looked up row by
# row.
UNCOUNTED: Final = """
INSERT INTO history_vouched
SELECT DISTINCT ON (c.key) c.key, c.event_id, c.user_key, s.user_id, s.product_id, s.event_type, s.occurred_at
FROM history_checked c
CROSS JOIN LATERAL (SELECT occurred_at FROM event_ids WHERE event_id = c.key LIMIT 1) AS k
CROSS JOIN LATERAL (
    SELECT user_id, product_id, event_type, occurred_at FROM events
    WHERE event_id = c.key AND occurred_at = k.occurred_at AND NOT counted AND returned < quantity LIMIT 1
) AS s
WHERE c.is_known AND c.fault IS NULL ORDER BY c.key, c.position"""
UNVOUCHED_LINES: Final = """
INSERT INTO history_vouched_lines
SELECT DISTINCT l.event_id, l.user_id FROM history_checked c
CROSS JOIN LATERAL (
    SELECT event_id, user_id FROM purchase_lines
    WHERE event_id = c.key AND product_id = c.product_id AND NOT vouched LIMIT 1
) AS l
-- retention deletes an event's id before its line, which a later event of that id knows nothing of
WHERE c.is_known AND c.fault IS NULL AND c.event_type = 'purchase'
  AND NOT EXISTS (SELECT FROM history_new n WHERE n.event_id = c.key)"""
COUNT_VOUCHED: Final = "SELECT (SELECT count(*) FROM history_vouched), (SELECT count(*) FROM history_vouched_lines)"
# A concurrent message may vouch for the same event; only one of the two counts it.
VOUCH: Final = (
    "SET LOCAL enable_nestloop = on",
    """
WITH counted AS (
    UPDATE events e SET counted = true FROM history_vouched v
    WHERE e.event_id = v.event_id AND e.occurred_at = v.occurred_at AND NOT e.counted RETURNING e.event_id
)
DELETE FROM history_vouched WHERE event_id NOT IN (SELECT event_id FROM counted)""",
    """
UPDATE purchase_lines l SET vouched = true FROM history_vouched_lines v WHERE l.event_id = v.event_id""",
    "SET LOCAL enable_nestloop = off",
)
_COUNTABLE: Final = """(
    SELECT product_id, event_type, occurred_at FROM history_new
    UNION ALL SELECT product_id, event_type, occurred_at FROM history_vouched
) AS countable"""
HOURLY: Final = f"""
INSERT INTO event_counts_hourly (hour, product_id, event_type, event_count)
SELECT date_trunc('hour', occurred_at, 'UTC'), product_id, event_type, count(*)
FROM {_COUNTABLE} WHERE product_id IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (hour, product_id, event_type)
    DO UPDATE SET event_count = event_counts_hourly.event_count + EXCLUDED.event_count"""
VIEWS: Final = f"""
INSERT INTO product_stats (product_id, views)
SELECT product_id, count(*) FROM {_COUNTABLE}
WHERE event_type = 'view' AND product_id IS NOT NULL GROUP BY 1 ORDER BY 1
ON CONFLICT (product_id) DO UPDATE SET views = product_stats.views + EXCLUDED.views"""
# Uses the same keys as update_popularity (purchase_counts.py), which may receive these purchases too; a purchase that
# it has already counted keeps the key that it was counted under.
PURCHASE_COUNTS: Final = f"""
WITH purchases AS MATERIALIZED (
    SELECT n.product_id, CASE WHEN EXISTS (SELECT FROM order_items i WHERE i.event_id = n.sent_id) THEN n.sent_id
                              ELSE {personal_key("n.user_key", "n.sent_id")} END AS key
    FROM history_new n WHERE n.event_type = 'purchase' AND n.product_id IS NOT NULL
      AND (SELECT c.event_id FROM counted_purchases c WHERE c.event_id = n.sent_id) IS NULL
    UNION ALL
    SELECT v.product_id, coalesce(seen.key, CASE WHEN EXISTS (SELECT FROM order_items i WHERE i.event_id = v.sent_id)
                                                 THEN v.sent_id ELSE {personal_key("v.user_key", "v.sent_id")} END)
    FROM history_vouched v
    LEFT JOIN LATERAL (
        SELECT c.event_id AS key FROM (
            SELECT v.sent_id AS key
            UNION ALL SELECT {personal_key("u.external_id", "v.sent_id")} FROM users u WHERE u.id = v.user_id
            UNION ALL SELECT {personal_key("g.external_id", "v.sent_id")} FROM users g WHERE g.merged_into = v.user_id
        ) AS candidates
        CROSS JOIN LATERAL (SELECT event_id FROM counted_purchases WHERE event_id = candidates.key LIMIT 1) AS c
        LIMIT 1
    ) AS seen ON true
    WHERE v.event_type = 'purchase' AND v.product_id IS NOT NULL
), fresh AS (
    INSERT INTO counted_purchases (event_id) SELECT DISTINCT key FROM purchases ORDER BY key
    ON CONFLICT (event_id) DO UPDATE SET counted = true
    WHERE NOT counted_purchases.counted AND NOT counted_purchases.returned
    RETURNING event_id
)
INSERT INTO product_stats (product_id, purchase_count)
SELECT product_id, count(*) FROM purchases JOIN fresh ON fresh.event_id = key GROUP BY 1 ORDER BY 1
ON CONFLICT (product_id) DO UPDATE SET purchase_count = product_stats.purchase_count + EXCLUDED.purchase_count"""
PURCHASES: Final = """
INSERT INTO user_purchases (user_id, product_id, purchase_count, first_at, last_at)
SELECT u.id, n.product_id, count(*), min(n.occurred_at), max(n.occurred_at)
FROM history_new n JOIN users u ON u.external_id = n.user_key
WHERE n.event_type = 'purchase' AND n.product_id IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (user_id, product_id) DO UPDATE SET
    purchase_count = user_purchases.purchase_count + EXCLUDED.purchase_count,
    first_at = least(user_purchases.first_at, EXCLUDED.first_at),
    last_at = greatest(user_purchases.last_at, EXCLUDED.last_at)"""
PAIRS: Final = f"""
INSERT INTO history_pairs
SELECT u.id, n.product_id, sum(w.weight * {DECAY.format(later="l.latest", earlier="n.occurred_at")}), l.latest
FROM history_new n
JOIN unnest(cast(:types AS text[]), cast(:weights AS float8[])) AS w(event_type, weight) USING (event_type)
JOIN (SELECT user_key, max(occurred_at) AS latest FROM history_new GROUP BY 1) AS l USING (user_key)
JOIN users u ON u.external_id = n.user_key
WHERE w.weight > 0 AND n.product_id IS NOT NULL GROUP BY u.id, n.product_id, l.latest"""
PREFERENCES: Final = f"""
INSERT INTO user_preferences (user_id, kind, key, score, as_of)
SELECT h.user_id, facet.kind, facet.key, sum(h.decayed), h.latest
FROM history_pairs h JOIN products p ON p.id = h.product_id, {FACETS.format(product="p")}
WHERE h.decayed > 0 GROUP BY 1, 2, 3, h.latest ORDER BY 1, 2, 3
ON CONFLICT (user_id, kind, key) DO UPDATE SET
    {fold("user_preferences", "score")}, as_of = greatest(user_preferences.as_of, EXCLUDED.as_of)"""
PRICE_BANDS: Final = f"""
INSERT INTO user_price_bands (user_id, weight, log_sum, square_sum, as_of)
SELECT h.user_id, sum(h.decayed), sum(h.decayed * ln(p.price::float8)),
    sum(h.decayed * ln(p.price::float8) ^ 2), h.latest
FROM history_pairs h JOIN products p ON p.id = h.product_id
WHERE h.decayed > 0 AND p.price > 0 GROUP BY h.user_id, h.latest ORDER BY h.user_id
ON CONFLICT (user_id) DO UPDATE SET
    {fold("user_price_bands", "weight")}, {fold("user_price_bands", "log_sum")},
    {fold("user_price_bands", "square_sum")}, as_of = greatest(user_price_bands.as_of, EXCLUDED.as_of)"""
# The lines that a later refund may return.
LINES: Final = f"""
INSERT INTO purchase_lines (event_id, sent_id, user_id, order_id, product_id, quantity, price, vouched, occurred_at)
SELECT n.event_id, n.sent_id, u.id, n.metadata ->> 'order_id', n.product_id, n.quantity, p.price, true, n.occurred_at
FROM history_new n JOIN users u ON u.external_id = n.user_key JOIN products p ON p.id = n.product_id
WHERE n.event_type = 'purchase' AND length(n.metadata ->> 'order_id') BETWEEN 1 AND {ORDER_ID_CHARACTERS}
-- as RECORDED of refunds.py
ON CONFLICT DO NOTHING"""
NEW_DATES: Final = "SELECT DISTINCT (occurred_at AT TIME ZONE shop.time_zone)::date FROM history_new, shop ORDER BY 1"
# Every statement reads all rows, but for tables that were empty until now the planner would choose a lookup per row.
PLAN_IN_BULK: Final = ("SET LOCAL enable_nestloop = off", "SET LOCAL work_mem = '64MB'")
# pg_class has no estimates yet for tables that have just been filled.
ANALYZE: Final = """ANALYZE categories, products, search_entries, product_stats, users, events, event_ids,
    event_counts_hourly, user_purchases, user_preferences, user_price_bands, daily_event_stats, counted_purchases"""


@dataclass
class Loaded:
    """Result of ``append``.

    stored, known : how many events were new, and how many were already stored.
    unknown_products : ``(position, product)`` of each row with an unknown product.
    faults : ``(position, reason)`` of each row whose id belongs to another event.
    dates : days of the new events, in the shop's time zone.
    """

    stored: int = 0
    known: int = 0
    unknown_products: list[tuple[int, str]] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    dates: set[date] = field(default_factory=set)


def append(connection: Connection, streams: Iterable[Any]) -> Loaded:
    """Store events inside the caller's transaction and update all derived data except ``daily_event_stats``.

    Events stored earlier that did not count because nothing vouched for them count from now on. Order lines that were
    not vouched for become so, whether or not their purchases counted.
    ``streams`` are binary files of CSV without a header, with columns in the order of ``COLUMNS``. Afterwards, call
    ``refresh`` of shared/storage/operations/daily_stats.py once with all returned dates. Cost is linear in the number
    of rows; Postgres needs about 300 bytes of temporary space per row.
    """
    for statement in (*PLAN_IN_BULK, *STAGE):
        execute(connection, statement)
    for stream in streams:
        copy_in(connection, COPY, stream)
    execute(connection, "ANALYZE history_rows")
    staged = int(execute(connection, "SELECT count(*) FROM history_rows")[0][0])
    if not staged:
        return Loaded()
    unknown = [(int(row[0]), str(row[1])) for row in execute(connection, UNKNOWN_PRODUCTS)]
    execute(connection, PARTITIONS)
    execute(connection, CHECKED)
    faults = [(int(row[0]), str(row[1])) for row in execute(connection, FAULTS)]
    execute(connection, NEW)
    execute(connection, "ANALYZE history_new")
    stored = int(execute(connection, "SELECT count(*) FROM history_new")[0][0])
    execute(connection, UNCOUNTED)
    execute(connection, UNVOUCHED_LINES)
    uncounted, unvouched_lines = map(int, execute(connection, COUNT_VOUCHED)[0])
    if stored or uncounted or unvouched_lines:
        execute(connection, LOCK_USERS)
    if uncounted or unvouched_lines:
        for statement in VOUCH:
            execute(connection, statement)
    if stored:
        for statement in (USERS, EVENTS):
            execute(connection, statement)
    if stored or uncounted:
        # Rows that messages also update are written only once, in key order.
        for statement in (HOURLY, VIEWS, PURCHASE_COUNTS):
            execute(connection, statement)
    if stored:
        weights = {"types": [kind.value for kind in EVENT_WEIGHTS], "weights": list(EVENT_WEIGHTS.values())}
        for statement in (PURCHASES, LINES):
            execute(connection, statement)
        execute(connection, PAIRS, weights)
        execute(connection, "ANALYZE history_pairs")
        execute(connection, PREFERENCES)
        execute(connection, PRICE_BANDS)
    dates = {row[0] for row in execute(connection, NEW_DATES)}
    return Loaded(stored, staged - stored - len(unknown) - len(faults), unknown, faults, dates)


def analyze(connection: Connection) -> None:
    """Update the planner's statistics of the loaded tables."""
    execute(connection, ANALYZE)
