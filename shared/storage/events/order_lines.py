"""Purchases that name an order of our own checkout: they are that order's lines, whoever reports them."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from shared.clients.postgres import run_prepared
from shared.domain.events import EventType
from shared.domain.orders import purchase_event_id

# the version of the ids of our orders (shared/storage/shopping/checkout.py)
_ORDER_ID_VERSION: Final = 7
LINES: Final = """
SELECT order_id, product_id, external_id, event_id FROM order_items
WHERE order_id = ANY (cast(:order_ids AS uuid[])) ORDER BY order_id, product_id"""


def with_line_ids(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events; a purchase that names an order of ours has the id of the order's line of its product.

    Without such a line it has the id of another line, under which it is rejected: it must not count beside the order.
    """
    named = {position: order_id for position, event in enumerate(events) if (order_id := _own_order_id(event))}
    if not named:
        return list(events)
    lines: dict[UUID, dict[int | str, UUID]] = {}
    for order_id, product_id, external_id, event_id in run_prepared(LINES, order_ids=list(set(named.values()))):
        lines.setdefault(order_id, {}).update({product_id: event_id, external_id: event_id})
    result = list(events)
    for position, order_id in named.items():
        own = lines.get(order_id)
        if own:
            event = events[position]
            product: int | str = event["product_id"] or event.get("external_id") or 0
            event_id = own.get(product, next(iter(own.values())))
            result[position] = {**events[position], "event_id": str(event_id)}
    return result


def _own_order_id(event: dict[str, Any]) -> UUID | None:
    """Return the id of the order that a purchase names if it may be ours, and the purchase has not its line's id."""
    if event["event_type"] != EventType.PURCHASE:
        return None
    try:
        order_id = UUID((event["metadata"] or {}).get("order_id"))
    except (TypeError, ValueError, AttributeError):
        return None
    # the checkout's own message needs no look-up
    is_line = event["event_id"] == str(purchase_event_id(order_id, event["product_id"]))
    return None if order_id.version != _ORDER_ID_VERSION or is_line else order_id
