"""Shared by carts, wishlists and orders: the shopper's lock, events of a transaction, and JSON pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from shared import event_origin, messages
from shared.clients.postgres import Connection, execute_prepared, read
from shared.domain import cursors
from shared.domain.cursors import KeyType
from shared.domain.events import MAX_EVENTS_PER_REQUEST, EventType, uuid7
from shared.errors import Forbidden, InvalidRequest
from shared.event_origin import VOUCHED
from shared.logs import current_traceparent
from shared.storage.events import outbox

# A transaction takes its locks in this order: the shopper's row in users, the order, products by id, the rows of the
# cart. So requests never deadlock, and only one request at a time changes a cart.
LOCK_SHOPPER: Final = """
INSERT INTO users (external_id) VALUES (:shopper)
ON CONFLICT (external_id) DO UPDATE SET last_seen_at = now() RETURNING id"""


class ShopperEvent(NamedTuple):
    """A shopper's event; without an ``event_id`` it gets a new id."""

    event_type: EventType
    product_id: int | None
    metadata: Mapping[str, Any] | None = None
    event_id: UUID | None = None


@dataclass(frozen=True)
class ListPage:
    """A page of a shopper's list, by number or after a cursor."""

    number: int = 1
    size: int = 20
    after: str | None = None


def read_page(
    shopper: str, name: str, statements: tuple[str, str], types: Sequence[KeyType], page: ListPage, **filters: Any
) -> bytes:
    """Return a page of the shopper's list ``name`` as JSON, newest first. Raises InvalidRequest for an invalid cursor.

    ``statements`` are those by number and after a cursor; each selects the total, the JSON list, and the sort key of
    the last row if more follow. ``filters`` are further parameters for them.
    """
    parameters: dict[str, Any] = {"shopper": shopper, "page_size": page.size, **filters}
    if page.after is None:
        rows = read(statements[0], skipped=(page.number - 1) * page.size, **parameters)
    else:
        try:
            key = cursors.decode(page.after, name, types)
        except ValueError as error:
            raise InvalidRequest(f"after: {error}.") from None
        rows = read(statements[1], skipped=0, **parameters, **cursors.parameters(key))
    total, items, last = int(rows[0][0]), rows[0][1], rows[0][2]
    following = orjson.dumps(None if last is None else cursors.encode(name, orjson.loads(last))).decode()
    return (
        f'{{"{name}":{items},"total":{total},"page":{page.number},"page_size":{page.size},'
        f'"total_pages":{-(-total // page.size)},"next":{following}}}'
    ).encode()


def lock_shopper(connection: Connection, shopper: str) -> int:
    """Lock the shopper's row, creating it if needed, until the transaction ends; return its id.

    ``shopper`` is the external id. Raises Forbidden if it was erased, since an erased id is never reused.
    """
    rows = execute_prepared(connection, LOCK_SHOPPER, {"shopper": shopper})
    if not rows:
        raise Forbidden("This user was erased; use a new user_id.")
    return int(rows[0][0])


def record_events(
    connection: Connection, shopper: str, events: Sequence[ShopperEvent], *, vouched: bool = False
) -> list[int]:
    """Write the shopper's events to the outbox; return its ids, to publish after the commit.

    ``vouched`` events count in full. Those of an order are vouched for; anybody can fill carts and wishlists.
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
