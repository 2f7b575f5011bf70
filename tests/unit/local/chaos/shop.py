"""A small shop as it should be stored, with its record: three events of two users, and an order."""

from datetime import UTC, datetime, timedelta
from typing import Any

from local.chaos.checker import facets
from local.chaos.record import Accepted
from local.chaos.snapshot import Snapshot, StoredEvent, StoredOrder, StoredProduct
from shared.domain.events import EVENT_WEIGHTS, EventType
from shared.domain.preferences import Decayed, merge

NOW = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)
HOUR = NOW.replace(minute=0)
STOCK = {1: 100, 2: 100, 3: 100}


def accepted() -> Accepted:
    """Return the record."""
    content = Accepted()
    for event_id, user, product, kind in (
        ("e1", "ann", 1, "view"),
        ("e2", "ann", 1, "purchase"),
        ("e3", "bob", 2, "view"),
    ):
        fields = {"event_id": event_id, "user_id": user, "product_id": product, "event_type": kind}
        content.add("sent_event", fields)
        content.add("event", fields)
    # sent, but not accepted: it may be stored or not
    content.add("sent_event", {"event_id": "e4", "user_id": "bob", "product_id": 2, "event_type": "view"})
    content.add("sent_order", {"user_id": "buyer-1", "product_id": 2, "quantity": 3})
    content.add("order", {"user_id": "buyer-1", "order_id": "o1"})
    content.add("sent_price", {"product_id": 3, "price": "7.50"})
    content.add("price", {"product_id": 3, "price": "7.50"})
    content.add("poison", {"message_id": "m1"})
    return content


def stored() -> Snapshot:
    """Return what follows from the record."""
    snapshot = Snapshot(
        events=[
            StoredEvent("e1", "ann", 1, "view", NOW - timedelta(days=3), True),
            StoredEvent("e2", "ann", 1, "purchase", NOW, True),
            StoredEvent("e3", "bob", 2, "view", NOW, False),
            StoredEvent("c1", "buyer-1", 2, "add_to_cart", NOW, True),
            StoredEvent("p1", "buyer-1", 2, "purchase", NOW, True),
        ],
        event_ids={"e1", "e2", "e3", "c1", "p1"},
        orders=[StoredOrder("o1", "buyer-1", "paid", ((2, 3, "p1"),))],
        products={
            1: StoredProduct(10, "Acme", ("red",), 5.0, 100),
            2: StoredProduct(10, None, (), 2.0, 97),
            3: StoredProduct(None, None, (), 7.5, 100),
        },
        hourly={
            (HOUR - timedelta(days=3), 1, "view"): 1,
            (HOUR, 1, "purchase"): 1,
            (HOUR, 2, "add_to_cart"): 1,
            (HOUR, 2, "purchase"): 1,
        },
        views={1: 1},
        purchase_counts={1: 1, 2: 1},
        user_purchases={("ann", 1): 1, ("buyer-1", 2): 1},
        rejected={"m1": 1},  # type: ignore[arg-type]  # read like a Counter
    )
    sums: dict[tuple[str, str, str], Any] = {}
    for event in snapshot.events:
        assert event.product_id is not None
        for kind, key, value in facets(snapshot, event.product_id, EVENT_WEIGHTS[EventType(event.event_type)]):
            name, new = (event.user, kind, key), Decayed(value, event.occurred_at)
            sums[name] = merge(sums[name], new) if name in sums else new
    snapshot.preferences = sums
    return snapshot
