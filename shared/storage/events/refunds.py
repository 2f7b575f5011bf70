"""Refunds: a returned item no longer counts as a purchase, for the user or in what all shoppers see.

The purchases that name an order are its lines (``purchase_lines``). A refund returns pieces of lines, and of several
lines of one product the earliest first. Once the shop's server has reported an order, lines that nothing vouches for
are returned too: the server's report replaces the browser's. Refunds and lines arrive in any order and repeatedly, so
both are stored first, and ``settle`` computes from all rows of an order what is returned. It changes a line only if
that is more than before, and reverses a purchase once its last piece is returned.
docs/decisions/0044-one-reversal.md has the rules.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson

from shared.clients.postgres import Connection, execute, read, run_prepared, transaction
from shared.domain.events import EVENT_WEIGHTS, PERSONAL_VERSION, EventType
from shared.domain.order_events import ORDER_ID_CHARACTERS, REFUND_WAIT
from shared.storage.events.decayed_sums import DECAY, FACETS
from shared.storage.events.event_ids import personal_key

# CTEs for the statement that stores events: they record the lines and refunds among ``new`` for ``account``.
RECORDED: Final = f"""recorded_lines AS (
    INSERT INTO purchase_lines (event_id, sent_id, user_id, order_id, product_id, quantity, price, vouched, occurred_at)
    SELECT event_id, sent_id, account.id, metadata ->> 'order_id', product_id, quantity, price,
           cast(:vouched AS boolean), occurred_at
    FROM new, account
    WHERE event_type = 'purchase' AND product_id IS NOT NULL
      AND length(metadata ->> 'order_id') BETWEEN 1 AND {ORDER_ID_CHARACTERS}
    -- retention may have deleted the event's id and not yet its line
    ON CONFLICT DO NOTHING
), recorded_refunds AS (
    INSERT INTO refunds (event_id, user_id, order_id, product_id, quantity, vouched)
    SELECT event_id, account.id, metadata ->> 'order_id', product_id,
           CASE WHEN metadata ->> 'quantity' IS NOT NULL THEN quantity END, cast(:vouched AS boolean)
    FROM new, account WHERE event_type = 'refund'
    ON CONFLICT DO NOTHING
)"""
# Purchases that were returned completely, as a CTE that reads the CTE ``account``.
GIVEN_BACK_WHOLE: Final = """given_back_whole AS MATERIALIZED (
    SELECT product_id, occurred_at FROM purchase_lines
    WHERE user_id = (SELECT id FROM account) AND returned >= quantity
)"""

# Whether the line has an id that only orders reported by the shop's server have (order_lines.py).
_IS_REPORTED: Final = f"uuid_extract_version({{line}}.sent_id) = {PERSONAL_VERSION}"
# Whether orders have refunds, or lines from a browser besides those that the shop's server reported.
HAS_REVERSALS: Final = f"""
WITH sender AS (SELECT coalesce(merged_into, id) AS id FROM users WHERE external_id = :user_id)
SELECT EXISTS (
    SELECT FROM users u JOIN refunds r ON r.user_id = u.id
    WHERE (u.id = (SELECT id FROM sender) OR u.merged_into = (SELECT id FROM sender))
      AND r.order_id = ANY (cast(:order_ids AS text[]))
) OR EXISTS (
    SELECT FROM users u JOIN purchase_lines l ON l.user_id = u.id
    WHERE (u.id = (SELECT id FROM sender) OR u.merged_into = (SELECT id FROM sender))
      AND l.order_id = ANY (cast(:order_ids AS text[]))
    GROUP BY l.order_id HAVING bool_or({_IS_REPORTED.format(line="l")}) AND bool_or(NOT l.vouched))"""
# Serializes concurrent messages about one order, so that the second sees the rows of both.
LOCK: Final = """
SELECT id FROM users
WHERE id = (SELECT coalesce(merged_into, id) FROM users WHERE external_id = :user_id) FOR NO KEY UPDATE"""
PERSON: Final = "SELECT id FROM users WHERE id = :person OR merged_into = :person ORDER BY id"
# Adds lines for purchases in our own checkout from before lines were recorded.
ADOPT: Final = """
INSERT INTO purchase_lines (event_id, sent_id, user_id, order_id, product_id, quantity, price, vouched, occurred_at)
SELECT e.event_id, e.event_id, e.user_id, i.order_id::text, e.product_id, e.quantity, i.price, true, e.occurred_at
FROM order_items i
JOIN event_ids k ON k.event_id = i.event_id
JOIN events e ON e.event_id = k.event_id AND e.occurred_at = k.occurred_at
WHERE i.order_id = ANY (cast(:order_ids AS uuid[])) AND e.event_type = 'purchase'
  AND e.user_id = ANY (cast(:users AS bigint[]))
ON CONFLICT DO NOTHING"""
# A refund that nothing vouches for cannot return a line that was vouched for. Refunds apply to lines that are vouched
# for first, so that a line from a browser cannot absorb a refund meant for one that the shop's server reported.
SETTLE: Final = f"""
WITH given AS MATERIALIZED (
    SELECT * FROM refunds
    WHERE user_id = ANY (cast(:users AS bigint[])) AND order_id = ANY (cast(:order_ids AS text[]))
), lines AS MATERIALIZED (
    SELECT l.*, sum(l.quantity) OVER (
               PARTITION BY l.order_id, l.product_id ORDER BY l.vouched DESC, l.occurred_at, l.event_id
           ) - l.quantity AS before,
           NOT l.vouched AND bool_or({_IS_REPORTED.format(line="l")}) OVER (PARTITION BY l.order_id) AS is_replaced
    FROM purchase_lines l
    WHERE user_id = ANY (cast(:users AS bigint[])) AND order_id = ANY (cast(:order_ids AS text[]))
), wanted AS (
    SELECT l.event_id, CASE WHEN g.is_all OR l.is_replaced THEN l.quantity
                            ELSE least(l.quantity, greatest(0, g.pieces - l.before)) END AS returned
    FROM lines l CROSS JOIN LATERAL (
        SELECT coalesce(bool_or(g.quantity IS NULL OR g.product_id IS NULL), false) AS is_all,
               coalesce(sum(g.quantity), 0) AS pieces
        FROM given g
        WHERE g.order_id = l.order_id AND (g.product_id IS NULL OR g.product_id = l.product_id)
          AND (g.vouched OR NOT l.vouched)
    ) AS g
), settled AS (
    UPDATE refunds r SET settled_at = now()
    WHERE r.settled_at IS NULL AND r.event_id IN (SELECT event_id FROM given) AND EXISTS (
        SELECT FROM lines l WHERE l.order_id = r.order_id AND (r.product_id IS NULL OR r.product_id = l.product_id)
          AND (r.vouched OR NOT l.vouched))
)
UPDATE purchase_lines l SET returned = w.returned FROM wanted w
WHERE l.event_id = w.event_id AND w.returned > l.returned
RETURNING l.event_id, l.sent_id, l.product_id, l.price, l.returned, l.occurred_at,
          l.returned >= l.quantity AS is_whole"""
_LINES: Final = """lines AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(cast(:lines AS jsonb)) AS l(
        event_id uuid, sent_id uuid, product_id bigint, price numeric, returned integer, occurred_at timestamptz,
        is_whole boolean, owner bigint, was_counted boolean)
)"""
TAKE_EVENTS_BACK: Final = f"""
WITH {_LINES}
UPDATE events e SET returned = l.returned, counted = e.counted AND NOT l.is_whole FROM lines l
WHERE e.event_id = l.event_id AND e.occurred_at = l.occurred_at
RETURNING e.event_id, e.user_id, old.counted"""
_DECAYED: Final = f"cast(:weight AS float8) * {DECAY.format(later='t.as_of', earlier='l.occurred_at')}"
# Scores up to this are floating-point residue, and their rows are deleted.
_NOTHING: Final = 1e-9
# Reverses what storing the purchase added (ingestion.py), for lines that were returned completely.
REVERSALS: Final = (
    f"""
WITH {_LINES}, taken AS (
    SELECT date_trunc('hour', occurred_at, 'UTC') AS hour, product_id, count(*) AS number
    FROM lines WHERE was_counted GROUP BY 1, 2
)
UPDATE event_counts_hourly h SET event_count = greatest(0, h.event_count - t.number) FROM taken t
WHERE h.hour = t.hour AND h.product_id = t.product_id AND h.event_type = 'purchase'""",
    f"""
WITH {_LINES}, taken AS (SELECT owner, product_id, count(*) AS number FROM lines GROUP BY 1, 2)
UPDATE user_purchases p SET purchase_count = p.purchase_count - t.number, last_at = coalesce(
    (SELECT max(e.occurred_at) FROM events e
     WHERE e.user_id = p.user_id AND e.product_id = p.product_id AND e.event_type = 'purchase'
       AND e.returned < e.quantity), p.last_at)
FROM taken t WHERE p.user_id = t.owner AND p.product_id = t.product_id""",
    f"""
WITH {_LINES}
DELETE FROM user_purchases p USING lines l
WHERE p.user_id = l.owner AND p.product_id = l.product_id AND p.purchase_count <= 0""",
    f"""
WITH {_LINES}, facets AS (
    SELECT l.owner, facet.kind, facet.key, l.occurred_at
    FROM lines l JOIN products p ON p.id = l.product_id, {FACETS.format(product="p")}
), taken AS (
    SELECT t.user_id, t.kind, t.key, sum({_DECAYED}) AS score
    FROM facets l JOIN user_preferences t ON t.user_id = l.owner AND t.kind = l.kind AND t.key = l.key GROUP BY 1, 2, 3
)
UPDATE user_preferences p SET score = greatest(0, p.score - t.score) FROM taken t
WHERE p.user_id = t.user_id AND p.kind = t.kind AND p.key = t.key""",
    f"""
WITH {_LINES}
DELETE FROM user_preferences p WHERE p.user_id IN (SELECT owner FROM lines) AND p.score <= {_NOTHING}""",
    f"""
WITH {_LINES}, taken AS (
    SELECT t.user_id, sum({_DECAYED}) AS weight, sum({_DECAYED} * ln(l.price::float8)) AS log_sum,
           sum({_DECAYED} * ln(l.price::float8) ^ 2) AS square_sum
    FROM lines l JOIN user_price_bands t ON t.user_id = l.owner WHERE l.price > 0 GROUP BY 1
)
UPDATE user_price_bands b SET weight = greatest(0, b.weight - t.weight), log_sum = b.log_sum - t.log_sum,
    square_sum = greatest(0, b.square_sum - t.square_sum)
FROM taken t WHERE b.user_id = t.user_id""",
    f"""
WITH {_LINES}
DELETE FROM user_price_bands b WHERE b.user_id IN (SELECT owner FROM lines) AND b.weight <= {_NOTHING}""",
)
# Finds a purchase under any of the person's ids that it was counted under (purchase_counts.py). A purchase not counted
# yet gets a row that keeps it from being counted.
TAKE_COUNTS_BACK: Final = f"""
WITH {_LINES}, keys AS MATERIALIZED (
    SELECT l.sent_id, l.product_id, l.sent_id AS key, true AS is_first FROM lines l
    WHERE EXISTS (SELECT FROM order_items i WHERE i.event_id = l.sent_id)
    UNION ALL
    SELECT l.sent_id, l.product_id, {personal_key("u.external_id", "l.sent_id")}, u.id = l.owner
    FROM lines l JOIN users u ON u.id = ANY (cast(:users AS bigint[]))
    WHERE NOT EXISTS (SELECT FROM order_items i WHERE i.event_id = l.sent_id)
), chosen AS MATERIALIZED (
    SELECT DISTINCT ON (k.sent_id) k.sent_id, k.product_id, k.key
    FROM keys k LEFT JOIN counted_purchases c ON c.event_id = k.key
    ORDER BY k.sent_id, c.counted DESC NULLS LAST, k.is_first DESC
), taken AS (
    INSERT INTO counted_purchases (event_id, counted, returned)
    SELECT key, false, true FROM chosen ORDER BY key
    ON CONFLICT (event_id) DO UPDATE SET counted = false, returned = true WHERE NOT counted_purchases.returned
    RETURNING event_id, old.counted AS was_counted
), totals AS (
    SELECT product_id, count(*) AS number FROM taken t JOIN chosen c ON c.key = t.event_id WHERE was_counted GROUP BY 1
)
UPDATE product_stats s SET purchase_count = greatest(0, s.purchase_count - t.number) FROM totals t
WHERE s.product_id = t.product_id
RETURNING s.product_id, -t.number"""

# Users and orders with pending refunds although the order is now known: it was bulk-loaded, or its guest was merged.
OVERDUE: Final = """
SELECT DISTINCT u.external_id, r.order_id
FROM refunds r JOIN users g ON g.id = r.user_id JOIN users u ON u.id = coalesce(g.merged_into, g.id)
WHERE r.settled_at IS NULL AND EXISTS (
    SELECT FROM users o JOIN purchase_lines l ON l.user_id = o.id
    WHERE (o.id = u.id OR o.merged_into = u.id) AND l.order_id = r.order_id
      AND (r.product_id IS NULL OR r.product_id = l.product_id) AND (r.vouched OR NOT l.vouched))
ORDER BY 1, 2 LIMIT :limit"""
REJECT_EXPIRED: Final = """
WITH expired AS (
    DELETE FROM refunds WHERE event_id IN (
        SELECT event_id FROM refunds
        WHERE settled_at IS NULL AND received_at < cast(:before AS timestamptz) LIMIT :limit)
    RETURNING *
), rejected AS (
    INSERT INTO rejected_events (message_id, position, event, reason)
    SELECT 'refund ' || e.event_id, 0, jsonb_build_object(
               'user_id', u.external_id, 'event_id', e.event_id, 'event_type', 'refund', 'order_id', e.order_id,
               'product_id', e.product_id, 'quantity', e.quantity, 'received_at', e.received_at),
           CASE WHEN EXISTS (SELECT FROM purchase_lines l WHERE l.user_id = e.user_id AND l.order_id = e.order_id)
                THEN :other_reason ELSE :reason END
    FROM expired e JOIN users u ON u.id = e.user_id
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM expired"""
UNKNOWN_ORDER: Final = f"no order of this order_id and user arrived within {REFUND_WAIT.days} days"
OTHER_ORDER: Final = (
    "the order of this order_id has no such product, or was reported with a secret key: then so must be its refund"
)


def order_ids_of(events: Iterable[dict[str, Any]]) -> tuple[list[str], bool]:
    """Return the ids of the orders that events name, and whether any event is a refund."""
    ids: dict[str, None] = {}
    has_refund = False
    for event in events:
        kind = event["event_type"]
        order_id = (event["metadata"] or {}).get("order_id") if kind in (EventType.PURCHASE, EventType.REFUND) else None
        if order_id is not None and not isinstance(order_id, (dict, list)):
            ids[order_id if isinstance(order_id, str) else orjson.dumps(order_id).decode()] = None
            has_refund = has_refund or kind == EventType.REFUND
    return list(ids), has_refund


def settle_events(user_id: str, events: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
    """Settle the orders named in a user's stored events; returns the same as ``settle``."""
    order_ids, has_refund = order_ids_of(events)
    if not order_ids:
        return []
    if not has_refund and not run_prepared(HAS_REVERSALS, user_id=user_id, order_ids=order_ids)[0][0]:
        return []
    return settle(user_id, order_ids)


def settle(user_id: str, order_ids: Sequence[str]) -> list[tuple[int, int]]:
    """Apply the refunds of a person's orders; return the ``(product_id, change)`` of purchase counts. Idempotent."""
    with transaction() as connection:
        locked = execute(connection, LOCK, {"user_id": user_id})
        if not locked:
            return []
        users = [int(row[0]) for row in execute(connection, PERSON, {"person": locked[0][0]})]
        own = [order_id for order_id in order_ids if _is_uuid(order_id)]
        if own:
            execute(connection, ADOPT, {"order_ids": own, "users": users})
        rows = execute(connection, SETTLE, {"order_ids": list(order_ids), "users": users})
        return _take_back(connection, [dict(row._mapping) for row in rows], users) if rows else []


def _take_back(connection: Connection, lines: list[dict[str, Any]], users: list[int]) -> list[tuple[int, int]]:
    parameters = {"lines": orjson.dumps(lines, default=str).decode()}
    stored = {row[0]: row for row in execute(connection, TAKE_EVENTS_BACK, parameters)}
    # Events that retention has dropped are skipped: only the user's and the shop's totals still include them.
    whole = [
        line | {"owner": stored[line["event_id"]][1], "was_counted": stored[line["event_id"]][2]}
        for line in lines
        if line["is_whole"] and line["event_id"] in stored
    ]
    if not whole:
        return []
    parameters = {"lines": orjson.dumps(whole, default=str).decode()}
    for statement in REVERSALS:
        weight = {"weight": EVENT_WEIGHTS[EventType.PURCHASE]} if ":weight" in statement else {}
        execute(connection, statement, parameters | weight)
    rows = execute(connection, TAKE_COUNTS_BACK, parameters | {"users": users})
    return [(int(row[0]), int(row[1])) for row in rows]


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def list_overdue(limit: int) -> list[tuple[str, str]]:
    """Return the ``(user_id, order_id)`` of refunds still pending although their order is now known."""
    return [(row[0], row[1]) for row in read(OVERDUE, limit=limit)]


def reject_expired(limit: int, *, now: datetime | None = None) -> int:
    """Move refunds whose order did not arrive within REFUND_WAIT to ``rejected_events``; return how many."""
    before = (now or datetime.now(UTC)) - REFUND_WAIT
    parameters = {"before": before, "limit": limit, "reason": UNKNOWN_ORDER, "other_reason": OTHER_ORDER}
    with transaction() as connection:
        return int(execute(connection, REJECT_EXPIRED, parameters)[0][0])
