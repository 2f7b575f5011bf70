"""The tables that events and orders change, read in one transaction past the proxies."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from shared.domain.preferences import Decayed


class StoredEvent(NamedTuple):
    """A row of ``events``; ``user`` is the id that its sender named."""

    event_id: str
    user: str
    product_id: int | None
    event_type: str
    occurred_at: datetime
    counted: bool


class StoredOrder(NamedTuple):
    """An order with its lines: ``(product_id, quantity, event_id)``."""

    order_id: str
    user: str
    state: str
    lines: tuple[tuple[int, int, str], ...]


class StoredProduct(NamedTuple):
    """What the recomputation needs of a product."""

    category_id: int | None
    brand: str | None
    tags: tuple[str, ...]
    price: float
    quantity: int


@dataclass
class Snapshot:
    """The stored state."""

    events: list[StoredEvent] = field(default_factory=list)
    event_ids: set[str] = field(default_factory=set)
    orders: list[StoredOrder] = field(default_factory=list)
    products: dict[int, StoredProduct] = field(default_factory=dict)
    hourly: dict[tuple[datetime, int, str], int] = field(default_factory=dict)
    views: dict[int, int] = field(default_factory=dict)
    purchase_counts: dict[int, int] = field(default_factory=dict)
    user_purchases: dict[tuple[str, int], int] = field(default_factory=dict)
    preferences: dict[tuple[str, str, str], Decayed] = field(default_factory=dict)
    unsent_outbox: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    unfinished_claims: int = 0


EVENTS: Final = """
SELECT e.event_id::text, u.external_id, e.product_id, e.event_type, e.occurred_at, e.counted
FROM events e JOIN users u ON u.id = e.user_id"""
ORDERS: Final = """
SELECT o.id::text, u.external_id, o.state, i.product_id, i.quantity, i.event_id::text
FROM orders o JOIN users u ON u.id = o.user_id LEFT JOIN order_items i ON i.order_id = o.id ORDER BY o.id"""
PREFERENCES: Final = """
SELECT u.external_id, p.kind, p.key, p.score, p.as_of FROM user_preferences p JOIN users u ON u.id = p.user_id"""
BANDS: Final = """
SELECT u.external_id, b.weight, b.log_sum, b.square_sum, b.as_of
FROM user_price_bands b JOIN users u ON u.id = b.user_id WHERE b.weight > 0"""
PURCHASES: Final = """
SELECT u.external_id, p.product_id, p.purchase_count FROM user_purchases p JOIN users u ON u.id = p.user_id"""


def take(connection: Any) -> Snapshot:
    """Return the stored state. ``connection`` is one of pg8000.native."""
    run = connection.run
    run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        orders: dict[str, StoredOrder] = {}
        for order_id, user, state, product_id, quantity, event_id in run(ORDERS):
            order = orders.setdefault(order_id, StoredOrder(order_id, user, state, ()))
            if product_id is not None:
                orders[order_id] = order._replace(lines=(*order.lines, (product_id, quantity, event_id)))
        preferences = {(user, kind, key): Decayed(score, as_of) for user, kind, key, score, as_of in run(PREFERENCES)}
        for user, *sums, as_of in run(BANDS):
            for name, value in zip(("weight", "log_sum", "square_sum"), sums, strict=True):
                preferences[user, "price", name] = Decayed(value, as_of)
        stats = run("SELECT product_id, views, purchase_count FROM product_stats")
        return Snapshot(
            events=[StoredEvent(*row) for row in run(EVENTS)],
            event_ids={row[0] for row in run("SELECT event_id::text FROM event_ids")},
            orders=list(orders.values()),
            products={
                row[0]: StoredProduct(row[1], row[2], tuple(row[3]), float(row[4]), row[5])
                for row in run("SELECT id, category_id, brand, tags, price, quantity FROM products")
            },
            hourly={
                tuple(row[:3]): row[3]
                for row in run("SELECT hour, product_id, event_type, event_count FROM event_counts_hourly")
            },
            views={row[0]: row[1] for row in stats if row[1]},
            purchase_counts={row[0]: row[2] for row in stats if row[2]},
            user_purchases={(user, product): count for user, product, count in run(PURCHASES)},
            preferences=preferences,
            unsent_outbox=run("SELECT count(*) FROM outbox WHERE published_at IS NULL")[0][0],
            rejected=Counter(row[0] for row in run("SELECT message_id FROM rejected_events")),
            unfinished_claims=run("SELECT count(*) FROM idempotency_keys WHERE status IS NULL")[0][0],
        )
    finally:
        run("ROLLBACK")
