"""The database held against the record, and its derived tables against recomputation from its events."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from local.chaos.record import Accepted
from local.chaos.snapshot import Snapshot, StoredEvent
from shared.domain.events import EVENT_WEIGHTS, EventType
from shared.domain.preferences import Decayed, decay, merge

Key = TypeVar("Key")

# states in which an order has taken its pieces from the stock
TAKEN: Final = ("placed", "paid", "shipped")
LOST: Final = "lost"
DOUBLED: Final = "doubled"
TOLERANCE: Final = 1e-6


@dataclass(frozen=True)
class Finding:
    """Something that is lost or doubled, ``number`` times."""

    kind: str
    what: str
    number: int = 1


def check(accepted: Accepted, stored: Snapshot, stock: Mapping[int, int]) -> list[Finding]:
    """Return everything that is lost or doubled. ``stock`` is each product's quantity before the first order."""
    return [
        *check_events(accepted, stored),
        *check_orders(accepted, stored),
        *check_stock(stored, stock),
        *check_prices(accepted, stored),
        *check_counts(stored),
        *check_preferences(stored),
        *check_backlog(accepted, stored),
    ]


def check_events(accepted: Accepted, stored: Snapshot) -> Iterable[Finding]:
    """Yield accepted events that are not stored as they were sent, and stored ones that are there twice or unsent."""
    rows: dict[str, list[StoredEvent]] = {}
    for event in stored.events:
        rows.setdefault(event.event_id, []).append(event)
    ordered = {event_id for order in stored.orders for _product, _quantity, event_id in order.lines}
    # a cart reports what is put into it, under an id of its own
    of_carts = {event.event_id for event in stored.events if is_of_cart(accepted, event)}
    for event_id, sent in accepted.events.items():
        found = rows.get(event_id, [])
        if not found:
            yield Finding(LOST, f"event {event_id} of {sent['user_id']}")
        elif (found[0].user, found[0].product_id, found[0].event_type) != (
            sent["user_id"],
            sent["product_id"],
            sent["event_type"],
        ):
            yield Finding(LOST, f"event {event_id} is stored as another: {found[0]}")
    for event_id, found in rows.items():
        if len(found) > 1:
            yield Finding(DOUBLED, f"event {event_id} is stored {len(found)} times", len(found) - 1)
        if event_id not in accepted.sent_events and event_id not in ordered | of_carts:
            yield Finding(DOUBLED, f"event {event_id} of {found[0].user} was never sent")
    for event_id in rows.keys() - stored.event_ids:
        yield Finding(LOST, f"event {event_id} has no row in event_ids")


def check_orders(accepted: Accepted, stored: Snapshot) -> Iterable[Finding]:
    """Yield orders that are lost, there twice, or hold other pieces than the shopper wanted."""
    by_id = {order.order_id: order for order in stored.orders}
    events = {event.event_id for event in stored.events}
    for user, sent in accepted.orders.items():
        order = by_id.get(sent["order_id"])
        if order is None or order.user != user:
            yield Finding(LOST, f"order {sent['order_id']} of {user}")
            continue
        if order.state != "paid":
            yield Finding(LOST, f"order {order.order_id} of {user} is {order.state}")
        for _product, _quantity, event_id in order.lines:
            if event_id not in events:
                yield Finding(LOST, f"purchase {event_id} of order {order.order_id}")
    in_carts = Counter(event.user for event in stored.events if is_of_cart(accepted, event))
    yield from compare(
        "additions to the cart of",
        dict.fromkeys(accepted.orders, 1),
        {user: number for user, number in in_carts.items() if number > 1 or user in accepted.orders},
    )
    for user, number in Counter(order.user for order in stored.orders if order.state in TAKEN).items():
        if number > 1:
            yield Finding(DOUBLED, f"{user} bought {number} times", number - 1)
        if user not in accepted.sent_orders:
            yield Finding(DOUBLED, f"{user} never ordered")
    for order in stored.orders:
        wanted = accepted.sent_orders.get(order.user)
        if wanted is None:
            continue
        pieces = Counter({product: quantity for product, quantity, _event in order.lines})
        expected = Counter({wanted["product_id"]: wanted["quantity"]})
        if more := pieces - expected:
            yield Finding(DOUBLED, f"order {order.order_id} has more than was ordered: {dict(more)}")
        if fewer := expected - pieces:
            yield Finding(LOST, f"order {order.order_id} lacks {dict(fewer)}")


def is_of_cart(accepted: Accepted, event: StoredEvent) -> bool:
    """Return whether an event reports what a buyer put into the cart."""
    wanted = accepted.sent_orders.get(event.user)
    return wanted is not None and (event.product_id, event.event_type) == (wanted["product_id"], EventType.ADD_TO_CART)


def check_stock(stored: Snapshot, stock: Mapping[int, int]) -> Iterable[Finding]:
    """Yield products whose quantity is not what the orders left of the stock."""
    taken: Counter[int] = Counter()
    for order in stored.orders:
        if order.state in TAKEN:
            for product, quantity, _event in order.lines:
                taken[product] += quantity
    yield from compare(
        "pieces taken from stock of product",
        taken,
        {product: before - stored.products[product].quantity for product, before in stock.items()},
    )


def check_prices(accepted: Accepted, stored: Snapshot) -> Iterable[Finding]:
    """Yield confirmed price changes that are not stored."""
    for product, price in accepted.prices.items():
        possible = {float(price)} | {float(accepted.unconfirmed_prices.get(product, price))}
        if stored.products[product].price not in possible:
            yield Finding(LOST, f"price of product {product}: {stored.products[product].price}, not {price}")


def check_counts(stored: Snapshot) -> Iterable[Finding]:
    """Yield counts that differ from those of the stored events."""
    hourly: Counter[tuple[datetime, int, str]] = Counter()
    views: Counter[int] = Counter()
    bought: Counter[int] = Counter()
    purchases: Counter[tuple[str, int]] = Counter()
    for event in stored.events:
        if event.product_id is None:
            continue
        if event.counted:
            hour = event.occurred_at.replace(minute=0, second=0, microsecond=0)
            hourly[hour, event.product_id, event.event_type] += 1
            views[event.product_id] += event.event_type == EventType.VIEW
        if event.event_type == EventType.PURCHASE:
            purchases[event.user, event.product_id] += 1
            # every purchase of the driver is vouched for, so all of them count
            bought[event.product_id] += 1
    yield from compare("events by the hour", hourly, stored.hourly)
    yield from compare("views of product", views, stored.views)
    yield from compare("purchases of product", bought, stored.purchase_counts)
    yield from compare("purchases of user and product", purchases, stored.user_purchases)


def check_preferences(stored: Snapshot) -> Iterable[Finding]:
    """Yield preferences and price bands that differ from the decayed sums of the stored events."""
    expected: dict[tuple[str, str, str], Decayed] = {}
    for event in stored.events:
        weight = EVENT_WEIGHTS[EventType(event.event_type)]
        if event.product_id is None or weight == 0:
            continue
        for kind, key, value in facets(stored, event.product_id, weight):
            new = Decayed(value, event.occurred_at)
            name = (event.user, kind, key)
            expected[name] = merge(expected[name], new) if name in expected else new
    for name in sorted(expected.keys() | stored.preferences.keys()):
        should, found = expected.get(name), stored.preferences.get(name)
        if should is None or found is None:
            yield Finding(LOST if found is None else DOUBLED, f"preference {name}")
            continue
        at = max(should.as_of, found.as_of)
        wanted, have = should.score * decay(at - should.as_of), found.score * decay(at - found.as_of)
        if not math.isclose(wanted, have, rel_tol=TOLERANCE):
            yield Finding(LOST if abs(have) < abs(wanted) else DOUBLED, f"preference {name}: {have}, not {wanted}")


def facets(stored: Snapshot, product_id: int, weight: float) -> Iterable[tuple[str, str, float]]:
    """Yield what an event of this weight adds: kind, key and value (docs/architecture.md, "Preferences")."""
    product = stored.products[product_id]
    if product.category_id is not None:
        yield "category", str(product.category_id), weight
    if product.brand is not None:
        yield "brand", product.brand, weight
    for tag in product.tags:
        yield "tag", tag, weight
    if product.price > 0:
        log = math.log(product.price)
        yield "price", "weight", weight
        yield "price", "log_sum", weight * log
        yield "price", "square_sum", weight * log**2


def check_backlog(accepted: Accepted, stored: Snapshot) -> Iterable[Finding]:
    """Yield messages that wait in the outbox, and poison that is stored nowhere."""
    if stored.unsent_outbox:
        yield Finding(LOST, f"{stored.unsent_outbox} messages wait in the outbox", stored.unsent_outbox)
    for message_id in accepted.poison - stored.rejected.keys():
        yield Finding(LOST, f"message {message_id} can never take effect, and is not in rejected_events")


def compare(what: str, expected: Mapping[Key, int], found: Mapping[Key, Any]) -> Iterable[Finding]:
    """Yield the keys whose numbers differ: fewer are lost, more are doubled."""
    for key in sorted(expected.keys() | found.keys(), key=str):
        difference = int(found.get(key, 0)) - expected.get(key, 0)
        if difference:
            kind = DOUBLED if difference > 0 else LOST
            yield Finding(kind, f"{what} {key}: {found.get(key, 0)}, not {expected.get(key, 0)}", abs(difference))


def total(findings: Iterable[Finding], kind: str) -> int:
    """Return how much is lost, or doubled."""
    return sum(finding.number for finding in findings if finding.kind == kind)
