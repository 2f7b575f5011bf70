"""The ids under which order lines count, for orders of Aisle's own checkout and those that the shop's server reports.

A purchase that names an order of our own checkout is that order's line, whoever reports it. The ids of other orders'
lines are derived from the order id, which is often a sequential number, so anybody can compute them. A line that is
vouched for therefore gets an id that no client can choose; nobody can use it up before the shop's server reports the
order.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from shared.clients.postgres import run_prepared
from shared.domain.events import PERSONAL_VERSION, EventType
from shared.domain.order_events import MAX_LINES, line_id
from shared.domain.orders import purchase_event_id

# UUID version of our own order ids (shared/storage/shopping/checkout.py).
_ORDER_ID_VERSION: Final = 7
LINES: Final = """
SELECT order_id, product_id, external_id, event_id FROM order_items
WHERE order_id = ANY (cast(:order_ids AS uuid[])) ORDER BY order_id, product_id"""


def with_line_ids(events: Sequence[dict[str, Any]], *, vouched: bool) -> list[dict[str, Any]]:
    """Return the events; a purchase that names one of our orders gets the id of that order's line for its product.

    If the order has no such line, it gets the id of another line, under which it is rejected: it must not count in
    addition to the order. If ``vouched``, a line of a reported order gets its ``vouched_line_id``.
    """
    result = _with_own_ids(events)
    if not vouched:
        return result
    lines: dict[str, _ReportedLines] = {}
    for position, event in enumerate(result):
        order_id = (event["metadata"] or {}).get("order_id") if event["event_type"] == EventType.PURCHASE else None
        if isinstance(order_id, str):
            reported = lines.setdefault(order_id, _ReportedLines(order_id))
            if (event_id := UUID(event["event_id"])) in reported:
                result[position] = {**event, "event_id": str(vouched_line_id(event_id))}
    return result


def vouched_line_id(event_id: UUID) -> UUID:
    """Return the id under which a reported order's line counts if it is vouched for."""
    digest = hashlib.sha256(f"vouched\n{event_id}".encode()).digest()[:16]
    # A UUID version that no client's id can have: `event_key` of shared/domain/events.py.
    return UUID(bytes=bytes([*digest[:6], PERSONAL_VERSION << 4 | digest[6] & 0xF, digest[7], 0x80, *digest[9:]]))


class _ReportedLines:
    """The ids of a reported order's lines, computed one by one until the requested id is found."""

    def __init__(self, order_id: str) -> None:
        self._order_id = order_id
        self._known: set[UUID] = set()

    def __contains__(self, event_id: UUID) -> bool:
        while event_id not in self._known and len(self._known) < MAX_LINES:
            self._known.add(line_id(self._order_id, len(self._known)))
        return event_id in self._known


def _with_own_ids(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
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
    """Return the id of the order that a purchase names, if the order may be ours and the event id is not its line's."""
    if event["event_type"] != EventType.PURCHASE:
        return None
    try:
        order_id = UUID((event["metadata"] or {}).get("order_id"))
    except (TypeError, ValueError, AttributeError):
        return None
    # The checkout's own message needs no lookup.
    is_line = event["event_id"] == str(purchase_event_id(order_id, event["product_id"]))
    return None if order_id.version != _ORDER_ID_VERSION or is_line else order_id
