"""What carts, wishlists and orders have in common: the shopper's lock, and events that leave with their transaction."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from shared import messages
from shared.clients.postgres import Connection, execute_prepared
from shared.domain.events import MAX_EVENTS_PER_REQUEST, EventType, uuid7
from shared.errors import Forbidden
from shared.logs import current_traceparent
from shared.storage.events import outbox

# Locks, in this order, for whoever needs several: the shopper's row of users, the order, products by id, the cart's
# rows. So no two requests wait for each other in a circle, and a cart is changed by one request at a time.
LOCK_SHOPPER: Final = """
INSERT INTO users (external_id) VALUES (:shopper)
ON CONFLICT (external_id) DO UPDATE SET last_seen_at = now() RETURNING id"""


class Happened(NamedTuple):
    """Something a shopper did; without an id it gets a new one."""

    event_type: EventType
    product_id: int
    metadata: Mapping[str, Any] | None = None
    event_id: UUID | None = None


def paged(name: str, items: str, total: int, number: int, size: int) -> bytes:
    """Return a page as JSON, from a list that Postgres wrote and how many there are in all."""
    pages = -(-total // size)
    return f'{{"{name}":{items},"total":{total},"page":{number},"page_size":{size},"total_pages":{pages}}}'.encode()


def lock_shopper(connection: Connection, shopper: str) -> int:
    """Make the shopper known, let nobody else change what is theirs until the transaction ends; return their row's id.

    ``shopper`` is the external id. Raises Forbidden for one that was erased: it never comes back.
    """
    rows = execute_prepared(connection, LOCK_SHOPPER, {"shopper": shopper})
    if not rows:
        raise Forbidden("This user was erased; go on with a new user_id.")
    return int(rows[0][0])


def tell(connection: Connection, shopper: str, happened: Sequence[Happened]) -> list[int]:
    """Write the shopper's events beside what they tell of; returns the outbox ids to publish after the commit."""
    now = datetime.now(UTC).isoformat()
    events = [
        {
            "event_id": str(one.event_id or uuid7()),
            "product_id": one.product_id,
            "event_type": one.event_type.value,
            "timestamp": now,
            "session_id": None,
            "metadata": one.metadata,
        }
        for one in happened
    ]
    chunks = (events[start : start + MAX_EVENTS_PER_REQUEST] for start in range(0, len(events), MAX_EVENTS_PER_REQUEST))
    return [
        outbox.add(connection, messages.USER_EVENTS, *messages.user_events(shopper, chunk, current_traceparent()))
        for chunk in chunks
    ]
