"""Shared by carts, wishlists and orders: the shopper's lock, events of a transaction, and JSON pages."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from shared import event_origin, messages
from shared.clients.postgres import Connection, execute_prepared
from shared.domain.events import MAX_EVENTS_PER_REQUEST, EventType, uuid7
from shared.errors import Forbidden
from shared.event_origin import VOUCHED
from shared.logs import current_traceparent
from shared.storage.events import outbox

# A transaction takes its locks in this order: the shopper's row of users, the order, products by id, the rows of the
# cart. So requests never deadlock, and only one request at a time changes a cart.
LOCK_SHOPPER: Final = """
INSERT INTO users (external_id) VALUES (:shopper)
ON CONFLICT (external_id) DO UPDATE SET last_seen_at = now() RETURNING id"""


class ShopperEvent(NamedTuple):
    """An event of a shopper; without ``event_id`` it gets a new id."""

    event_type: EventType
    product_id: int | None
    metadata: Mapping[str, Any] | None = None
    event_id: UUID | None = None


def page_json(name: str, items: str, total: int, number: int, size: int) -> bytes:
    """Return a page as JSON: ``items`` is a JSON list written by Postgres, ``total`` counts all pages."""
    pages = -(-total // size)
    return f'{{"{name}":{items},"total":{total},"page":{number},"page_size":{size},"total_pages":{pages}}}'.encode()


def lock_shopper(connection: Connection, shopper: str) -> int:
    """Lock the shopper's row, creating it if needed, until the transaction ends; return its id.

    ``shopper`` is the external id. Raises Forbidden if it was erased: an erased id is never used again.
    """
    rows = execute_prepared(connection, LOCK_SHOPPER, {"shopper": shopper})
    if not rows:
        raise Forbidden("This user was erased; use a new user_id.")
    return int(rows[0][0])


def record_events(
    connection: Connection, shopper: str, events: Sequence[ShopperEvent], *, vouched: bool = False
) -> list[int]:
    """Write the shopper's events to the outbox; return its ids, to publish after the commit.

    ``vouched`` events count in full; those of an order do. Anybody can fill carts and wishlists.
    """
    origin = VOUCHED if vouched else event_origin.current()
    now = datetime.now(UTC)
    bodies = [
        {
            "event_id": str(event.event_id or uuid7()),
            "product_id": event.product_id,
            "event_type": event.event_type.value,
            "timestamp": now.isoformat(),
            "session_id": None,
            "metadata": event.metadata,
        }
        for event in events
    ]
    chunks = (bodies[start : start + MAX_EVENTS_PER_REQUEST] for start in range(0, len(bodies), MAX_EVENTS_PER_REQUEST))
    return [
        outbox.add(
            connection,
            messages.USER_EVENTS,
            *messages.user_events(shopper, chunk, current_traceparent(), origin, published_at=now),
        )
        for chunk in chunks
    ]
