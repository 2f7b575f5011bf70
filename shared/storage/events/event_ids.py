"""Under which id an event counts once, as SQL that the statements storing and counting events share.

An id that a client chose is unique per person: a guest who was merged and the account are one person, and nobody else
can use an id up. The id of an order's line is the line's alone, whoever reports it. An id that ``events`` generated is
unique by its random bits. docs/decisions/0024-whose-event-ids.md has the rules and what was rejected.

The fragments read rows ``e(event_id, product_id, event_type, quantity)`` of the user ``:user_id``, as the message
names them.
"""

from typing import Final

CONFLICT: Final = (
    "event_id is known with another product, type or quantity; give each event, and each line of an order, an id of "
    "its own"
)
ORDER_LINE: Final = (
    "event_id belongs to a line of an order: only the purchase of its product in its quantity, by the shopper who "
    "paid the order, counts under it; give other events an id of their own"
)


def personal_key(user_id: str, event_id: str = "e.event_id") -> str:
    """Return the expression of the key of a user's event whose id another person has used."""
    return (
        f"encode(substring(sha256(convert_to({user_id} || chr(10) || {event_id}::text, 'UTF8')) FROM 1 FOR 16), "
        "'hex')::uuid"
    )


def order_line(person: str) -> str:
    """Return the subquery of the order's line whose id ``e.event_id`` is, with whether ``e`` is its purchase.

    ``person`` is the expression of the row that the user's data belongs to. The owner of an erased order is unknown.
    """
    return f"""
    SELECT e.event_type = 'purchase' AND e.product_id = i.product_id AND e.quantity = i.quantity
           AND (o.user_id IS NULL OR coalesce(coalesce(w.merged_into, w.id) = {person}, false))
           AND EXISTS (SELECT FROM order_state_changes h WHERE h.order_id = o.id AND h.state = 'paid') AS is_purchase
    FROM order_items i JOIN orders o ON o.id = i.order_id LEFT JOIN users w ON w.id = o.user_id
    -- the ids of lines are of version 5 (shared/domain/orders.py); most others need no look-up
    WHERE uuid_extract_version(e.event_id) = 5 AND i.event_id = e.event_id LIMIT 1"""


# CTEs: the person whom the message names, and every id of theirs
SENDER: Final = """
sender AS MATERIALIZED (
    SELECT coalesce(merged_into, id) AS person FROM users WHERE external_id = cast(:user_id AS text)
), sender_ids AS MATERIALIZED (
    SELECT cast(:user_id AS text) AS external_id
    UNION SELECT external_id FROM users WHERE id = (SELECT person FROM sender)
    UNION SELECT external_id FROM users WHERE merged_into = (SELECT person FROM sender)
)"""

# The join `line`: the order's line of that id.
LINE: Final = f"""
LEFT JOIN LATERAL ({order_line("(SELECT person FROM sender)")}
) AS line ON true"""
NOT_LINE: Final = f"WHEN NOT line.is_purchase THEN '{ORDER_LINE}'"
# The joins `plain` and `own`: the event stored under the id itself, and the one stored under the key that the sender
# got because `plain` is another person's. An id whose event is gone is another person's. They read every partition of
# `events`, so they are for the few messages with an id that is known.
KNOWN: Final = f"""
LEFT JOIN LATERAL (
    SELECT s.product_id, s.event_type, s.quantity,
           coalesce(coalesce(w.merged_into, w.id) = (SELECT person FROM sender), false) AS is_senders
    FROM event_ids k LEFT JOIN events s ON s.event_id = k.event_id AND s.occurred_at = k.occurred_at
    LEFT JOIN users w ON w.id = s.user_id
    WHERE k.event_id = e.event_id LIMIT 1
) AS plain ON true
LEFT JOIN LATERAL (
    SELECT k.event_id, s.product_id, s.event_type, s.quantity
    FROM sender_ids n JOIN event_ids k ON k.event_id = {personal_key("n.external_id")}
    LEFT JOIN events s ON s.event_id = k.event_id AND s.occurred_at = k.occurred_at
    WHERE NOT plain.is_senders LIMIT 1
) AS own ON true"""
KEY: Final = f"""CASE WHEN plain.is_senders IS NOT FALSE THEN e.event_id
    ELSE coalesce(own.event_id, {personal_key("cast(:user_id AS text)")}) END"""
IS_KNOWN: Final = "coalesce(plain.is_senders, false) OR own.event_id IS NOT NULL"
IS_OTHER: Final = f"""WHEN plain.is_senders AND (e.product_id, e.event_type, e.quantity)
        IS DISTINCT FROM (plain.product_id, plain.event_type, plain.quantity)
      OR own.event_id IS NOT NULL AND (e.product_id, e.event_type, e.quantity)
        IS DISTINCT FROM (own.product_id, own.event_type, own.quantity) THEN '{CONFLICT}'"""
