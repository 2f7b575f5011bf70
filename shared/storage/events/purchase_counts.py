"""Count purchases for product_stats and the live popular ranking, independently of ingestion.py.

``counted_purchases`` ensures that a purchase counts once: under the id of its order line, or else under the sender's
personal key. Earlier releases counted every purchase under the event id itself.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from shared.clients import postgres
from shared.domain.counting import SEEN_WITHIN_DAYS
from shared.domain.events import EventType
from shared.event_origin import VOUCHED, Origin
from shared.storage.events import bounds, order_lines
from shared.storage.events.event_ids import LINE, SENDER, personal_key

# `seen`: the message itself contains a view or an add-to-cart that lets the purchase count. {earlier} restricts which
# rows of `counted_purchases` prevent a purchase from counting again.
_COUNT: Final = f"""
WITH {SENDER}, incoming AS MATERIALIZED (
    SELECT DISTINCT ON (e.event_id) e.product_id, e.occurred_at, e.seen,
           CASE WHEN line.is_purchase THEN e.event_id ELSE {personal_key("cast(:user_id AS text)")} END AS event_id
    FROM unnest(cast(:event_ids AS uuid[]), cast(:product_ids AS bigint[]), cast(:external_ids AS text[]),
                cast(:quantities AS integer[]), cast(:times AS timestamptz[]), cast(:seen AS boolean[]))
        WITH ORDINALITY AS sent(event_id, given_id, external_id, quantity, occurred_at, seen, position)
    LEFT JOIN products x ON x.external_id = sent.external_id
    CROSS JOIN LATERAL (
        SELECT sent.*, coalesce(nullif(sent.given_id, 0), x.id) AS product_id, 'purchase' AS event_type) AS e
    -- two ids that are not the same product's count for neither
    JOIN products p ON p.id = e.product_id AND e.external_id IN ('', p.external_id)
    {LINE}
    WHERE line.is_purchase IS NOT FALSE
      AND NOT EXISTS (SELECT FROM counted_purchases c WHERE c.event_id = e.event_id {{earlier}})
      AND NOT EXISTS (
          SELECT FROM sender_ids n
          JOIN counted_purchases c ON c.event_id = {personal_key("n.external_id")} {{earlier}})
    ORDER BY e.event_id, e.position
), {{decided}}, fresh AS (
    INSERT INTO counted_purchases (event_id, counted) SELECT event_id, counted FROM decided ORDER BY event_id
    ON CONFLICT (event_id) DO {{on_conflict}}
    RETURNING event_id, counted
), counts AS (
    SELECT product_id, count(*) AS purchases FROM incoming JOIN fresh USING (event_id) WHERE counted GROUP BY 1
)
INSERT INTO product_stats (product_id, purchase_count) SELECT product_id, purchases FROM counts ORDER BY 1
ON CONFLICT (product_id) DO UPDATE SET purchase_count = product_stats.purchase_count + EXCLUDED.purchase_count
RETURNING product_id, (SELECT purchases FROM counts WHERE counts.product_id = product_stats.product_id)
"""
# For purchases that are vouched for, including ones that did not count before.
COUNT: Final = _COUNT.format(
    earlier="AND (c.counted OR c.returned)",
    decided="decided AS (SELECT event_id, true AS counted FROM incoming)",
    on_conflict="UPDATE SET counted = true WHERE NOT counted_purchases.counted AND NOT counted_purchases.returned",
)
# For all other purchases.
COUNT_BOUNDED: Final = _COUNT.format(
    earlier="",
    decided=f"""candidates AS MATERIALIZED (
    SELECT DISTINCT ON (i.product_id) i.event_id, i.product_id, 'popular' AS scope FROM incoming i
    WHERE NOT cast(:crawler AS boolean) AND NOT {bounds.IS_MACHINE}
      AND (i.seen OR EXISTS (
        SELECT FROM users u JOIN events e ON e.user_id IN (u.id, u.merged_into)
        WHERE u.external_id = :user_id AND {bounds.SEEN.format(purchase="i")}))
    ORDER BY i.product_id, i.event_id
), {bounds.admit("candidates", "first_today", "admitted")}, decided AS MATERIALIZED (
    SELECT event_id, event_id IN (SELECT event_id FROM admitted JOIN candidates USING (product_id)) AS counted
    FROM incoming
)""",
    on_conflict="NOTHING",
)


def count(
    user_id: str, events: Sequence[dict[str, Any]], origin: Origin = VOUCHED, *, day: date | None = None
) -> list[tuple[int, int]]:
    """Count the purchases that were not counted yet among a user's events, which are given as to ``ingestion.store``.

    Returns ``(product_id, new purchases)`` of the products whose counts changed.
    """
    events = order_lines.with_line_ids(events, vouched=origin.vouched)
    purchases = [event for event in events if event["event_type"] == EventType.PURCHASE]
    if not purchases:
        return []
    parameters: dict[str, Any] = {
        "user_id": user_id,
        "event_ids": [event["event_id"] for event in purchases],
        # 0 and an empty string stand for no id.
        "product_ids": [event["product_id"] or 0 for event in purchases],
        "external_ids": [event.get("external_id") or "" for event in purchases],
        "quantities": [event["quantity"] for event in purchases],
        "times": [event["occurred_at"] for event in purchases],
        "seen": _seen(purchases, events),
    }
    if origin.vouched:
        rows = postgres.run_prepared(COUNT, **parameters)
    else:
        rows = postgres.run_prepared(COUNT_BOUNDED, **parameters | bounds.parameters(user_id, origin, day))
    return [(int(row[0]), int(row[1])) for row in rows]


def _seen(purchases: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]]) -> list[bool]:
    """Return for each purchase whether a view or an add-to-cart among ``events`` lets it count."""
    seen: dict[int | str | None, list[datetime]] = {}
    for event in events:
        if event["event_type"] in (EventType.VIEW, EventType.ADD_TO_CART):
            seen.setdefault(_product(event), []).append(datetime.fromisoformat(event["occurred_at"]))
    days = timedelta(days=SEEN_WITHIN_DAYS)
    return [
        any(timedelta(0) <= datetime.fromisoformat(purchase["occurred_at"]) - at < days for at in times)
        for purchase in purchases
        for times in [seen.get(_product(purchase), [])]
    ]


def _product(event: dict[str, Any]) -> int | str | None:
    """Return the product as the event names it."""
    product_id: int | None = event["product_id"]
    return event.get("external_id") if product_id is None else product_id
