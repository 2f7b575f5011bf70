"""Orders: their JSON, built by Postgres, and their state transitions.

``shared/storage/shopping/checkout.py`` places them; ``shared/domain/orders.py`` defines the allowed transitions.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple
from uuid import UUID

from shared.clients.postgres import Connection, execute, execute_prepared, read, read_one
from shared.domain import cursors
from shared.domain.carts import MAX_QUANTITY
from shared.domain.cursors import KeyType
from shared.domain.events import EventType
from shared.domain.orders import OrderState, check_transition, refund_event_id
from shared.errors import OrderNotFound
from shared.storage.catalog import bulk_writes
from shared.storage.operations import audit
from shared.storage.shopping import shoppers
from shared.storage.shopping.shoppers import ListPage, ShopperEvent

ORDER: Final = """json_build_object(
    'id', o.id, 'state', o.state,
    'items', (SELECT json_agg(json_build_object(
        'product_id', i.product_id, 'external_id', i.external_id, 'name', i.name,
        'variant_title', i.variant_title, 'quantity', i.quantity, 'price', i.price,
        'line_total', i.quantity * i.price, 'event_id', i.event_id) ORDER BY i.product_id)
        FROM order_items i WHERE i.order_id = o.id),
    'total', o.total, 'item_count', (SELECT sum(i.quantity) FROM order_items i WHERE i.order_id = o.id),
    'payment', (SELECT json_build_object('provider', y.provider, 'state', y.state)
        FROM payments y WHERE y.order_id = o.id),
    'history', (SELECT json_agg(json_build_object('state', h.state, 'at', h.changed_at, 'reason', h.reason)
        ORDER BY h.id) FROM order_state_changes h WHERE h.order_id = o.id),
    'created_at', o.created_at, 'updated_at', o.updated_at)"""
KEY: Final[list[tuple[str, bool, KeyType]]] = [("created_at", True, "timestamptz"), ("id", True, "uuid")]
# One row more than the page has, to see whether there is a next page.
_PAGE: Final = f"""
WITH owner AS MATERIALIZED (SELECT id FROM users WHERE external_id = :shopper),
ordered AS MATERIALIZED (
    SELECT *, row_number() OVER (ORDER BY created_at DESC, id DESC) AS place FROM (
        SELECT * FROM orders WHERE user_id = (SELECT id FROM owner){{after}}
        ORDER BY created_at DESC, id DESC LIMIT cast(:page_size AS bigint) + 1 OFFSET cast(:skipped AS bigint)) AS rows
)
SELECT (SELECT count(*) FROM orders WHERE user_id = (SELECT id FROM owner)),
       coalesce((SELECT json_agg({ORDER} ORDER BY o.created_at DESC, o.id DESC) FROM ordered o
                 WHERE o.place <= cast(:page_size AS bigint)), '[]')::text,
       (SELECT json_build_array(created_at, id)::text FROM ordered WHERE place = cast(:page_size AS bigint)
            AND EXISTS (SELECT FROM ordered WHERE place > cast(:page_size AS bigint)))"""
PAGES: Final = (_PAGE.format(after=""), _PAGE.format(after=f" AND {cursors.after(KEY)}"))
GET_OWN: Final = f"""
SELECT {ORDER}::text FROM orders o
WHERE o.id = :order_id AND o.user_id = (SELECT id FROM users WHERE external_id = :shopper)"""
GET: Final = f"SELECT {ORDER}::text FROM orders o WHERE o.id = :order_id"

LOCK_OWNER: Final = """
SELECT u.external_id FROM users u WHERE u.id = (SELECT user_id FROM orders WHERE id = :order_id) FOR NO KEY UPDATE"""
LOCK: Final = "SELECT state FROM orders WHERE id = :order_id FOR NO KEY UPDATE"
LOCK_PRODUCTS: Final = """
SELECT count(*) FROM (
    SELECT FROM products p JOIN order_items i ON i.product_id = p.id WHERE i.order_id = :order_id
    ORDER BY p.id FOR NO KEY UPDATE OF p) AS locked"""
# Capped at the maximum of the type, since staff may have raised the quantity in the meantime.
RESTOCK: Final = """
UPDATE products p SET quantity = least(p.quantity::bigint + i.quantity, 2147483647)::integer
FROM order_items i WHERE i.order_id = :order_id AND p.id = i.product_id AND p.stock_counted
RETURNING p.id, old.quantity = 0"""
MOVE: Final = """
WITH moved AS (
    UPDATE orders SET state = :state, updated_at = now(),
        checkout_id = CASE WHEN cast(:forget_checkout AS boolean) THEN NULL ELSE checkout_id END
    WHERE id = :order_id RETURNING id
), paid AS (
    UPDATE payments SET state = :payment, updated_at = now() FROM moved
    WHERE order_id = moved.id AND cast(:payment AS text) IS NOT NULL
)
INSERT INTO order_state_changes (order_id, state, reason) SELECT id, :state, :reason FROM moved"""
# The lines as they were, added to what the shopper has put into the cart in the meantime.
RESTORE_CART: Final = f"""
INSERT INTO cart_items (user_id, product_id, quantity, price_when_added, added_at)
SELECT o.user_id, i.product_id, i.quantity, i.price_when_added, i.added_at
FROM orders o JOIN order_items i ON i.order_id = o.id
WHERE o.id = :order_id AND o.user_id IS NOT NULL ORDER BY i.product_id
ON CONFLICT (user_id, product_id) DO UPDATE
    SET quantity = least(cart_items.quantity + EXCLUDED.quantity, {MAX_QUANTITY})"""
# Only the order itself is locked: its stock was taken when it was placed.
PAY: Final = """
WITH paid AS (
    UPDATE orders SET state = 'paid', updated_at = now() WHERE id = :order_id AND state = 'placed'
    RETURNING id, user_id
), charged AS (
    UPDATE payments SET state = 'approved', updated_at = now() FROM paid WHERE order_id = paid.id
), history AS (
    INSERT INTO order_state_changes (order_id, state) SELECT id, 'paid' FROM paid
)
SELECT u.external_id, i.product_id, i.quantity, i.event_id
FROM paid JOIN order_items i ON i.order_id = paid.id LEFT JOIN users u ON u.id = paid.user_id ORDER BY i.product_id"""
STATE: Final = "SELECT state FROM orders WHERE id = :order_id"

# Orders left unpaid by a crash.
LIST_ABANDONED: Final = """
SELECT id FROM orders WHERE state = 'placed' AND created_at < now() - make_interval(secs => :age_s)
ORDER BY created_at LIMIT :limit"""


class Transition(NamedTuple):
    """A change of an order's state: ``products`` whose stock changed, whether one of them was sold out before
    (``in_stock_again``), ids of outbox rows, whether the payment must be released, and the shopper who returned the
    products, if they did."""

    products: Sequence[int] = ()
    in_stock_again: bool = False
    outbox: Sequence[int] = ()
    releases: bool = False
    shopper: str | None = None


def page(shopper: str, wanted: ListPage) -> bytes:
    """Return a page of a shopper's orders, newest first, as the JSON of ``GET /orders``. Raises InvalidRequest."""
    return shoppers.read_page(shopper, "orders", PAGES, [kind for _column, _descends, kind in KEY], wanted)


def get_own(shopper: str, order_id: UUID) -> bytes:
    """Return a shopper's order as JSON. Raises OrderNotFound if there is none or it is another shopper's."""
    row = read_one(GET_OWN, shopper=shopper, order_id=order_id)
    if row is None:
        raise _not_found(order_id)
    return str(row[0]).encode()


def get(order_id: UUID) -> bytes:
    """Return any shopper's order as JSON. Raises OrderNotFound."""
    row = read_one(GET, order_id=order_id)
    if row is None:
        raise _not_found(order_id)
    return str(row[0]).encode()


def get_in(connection: Connection, order_id: UUID) -> bytes:
    """Return any shopper's order as JSON, as the caller's transaction sees it. Raises OrderNotFound."""
    rows = execute_prepared(connection, GET, {"order_id": order_id})
    if not rows:
        raise _not_found(order_id)
    return str(rows[0][0]).encode()


def _not_found(order_id: UUID) -> OrderNotFound:
    return OrderNotFound(f"There is no order {order_id}.")


def lock(connection: Connection, order_id: UUID, shopper: str | None = None) -> tuple[OrderState, str | None]:
    """Lock an order and its shopper; return its state and the shopper's external id (None if erased).

    Raises OrderNotFound if there is no such order, or if ``shopper`` is given and the order is another shopper's.
    """
    owner = execute(connection, LOCK_OWNER, {"order_id": order_id})
    rows = execute(connection, LOCK, {"order_id": order_id})
    name = str(owner[0][0]) if owner else None
    if not rows or (shopper is not None and name != shopper):
        raise _not_found(order_id)
    return OrderState(rows[0][0]), name


def _move(
    connection: Connection,
    order_id: UUID,
    state: OrderState,
    payment: Literal["approved", "release_due", "released"] | None,
    reason: str | None,
    *,
    forget_checkout: bool = False,
) -> None:
    execute(
        connection,
        MOVE,
        {
            "order_id": order_id,
            "state": state,
            "payment": payment,
            "reason": reason,
            "forget_checkout": forget_checkout,
        },
    )


def _restock(connection: Connection, order_id: UUID) -> Transition:
    execute(connection, LOCK_PRODUCTS, {"order_id": order_id})
    rows = execute(connection, RESTOCK, {"order_id": order_id})
    again = sorted(int(row[0]) for row in rows if row[1])
    outbox = bulk_writes.announce(connection, again, "stock")
    return Transition(sorted(int(row[0]) for row in rows), bool(again), outbox)


def pay(connection: Connection, order_id: UUID) -> Transition | None:
    """Mark a placed order as paid and record its lines as purchases; return None if it was already paid.

    Raises OrderStateConflict if it was cancelled in the meantime; the caller must then release the payment.
    """
    lines = execute_prepared(connection, PAY, {"order_id": order_id})
    if not lines:
        state = OrderState(execute(connection, STATE, {"order_id": order_id})[0][0])
        if state is not OrderState.PAID:
            check_transition(state, OrderState.PAID)
        return None
    shopper = lines[0][0]
    if shopper is None:
        return Transition()
    events = [
        ShopperEvent(EventType.PURCHASE, int(row[1]), {"quantity": int(row[2]), "order_id": str(order_id)}, row[3])
        for row in lines
    ]
    return Transition(outbox=shoppers.record_events(connection, shopper, events, vouched=True))


def give_up(connection: Connection, order_id: UUID, reason: str, *, charged: bool) -> Transition | None:
    """Cancel an unpaid order: stock and cart are restored, and the same checkout may be retried.

    ``charged``: the provider may have charged it. Returns None if the order is no longer ``placed``.
    """
    state, _shopper = lock(connection, order_id)
    if state is not OrderState.PLACED:
        return None
    moved = _restock(connection, order_id)
    _move(
        connection,
        order_id,
        OrderState.CANCELLED,
        "release_due" if charged else "released",
        reason,
        forget_checkout=True,
    )
    execute(connection, RESTORE_CART, {"order_id": order_id})
    return moved


def change_state(
    connection: Connection,
    order_id: UUID,
    state: OrderState,
    reason: str | None,
    *,
    shopper: str | None = None,
    staff: str | None = None,
) -> Transition:
    """Cancel, ship or refund an order. ``shopper`` restricts it to their own; ``staff`` goes to the audit log.

    Cancelling restores the stock. After cancelling or refunding, the payment must be released, and an event published
    through the outbox reverses the purchases. An order already in the state does not change. Raises OrderNotFound,
    OrderStateConflict.
    """
    before, owner = lock(connection, order_id, shopper)
    if before is state:
        return Transition()
    check_transition(before, state)
    moved = _restock(connection, order_id) if state is OrderState.CANCELLED else Transition()
    release = state in (OrderState.CANCELLED, OrderState.REFUNDED)
    _move(connection, order_id, state, "release_due" if release else None, reason)
    if staff is not None:
        audit.record(
            connection,
            staff,
            "order.state",
            f"order:{order_id}",
            before={"state": before},
            after={"state": state, "reason": reason},
        )
    outbox = [*moved.outbox]
    # An order that was never paid has no purchases to reverse.
    if release and before is not OrderState.PLACED and owner is not None:
        refund = ShopperEvent(EventType.REFUND, None, {"order_id": str(order_id)}, refund_event_id(order_id))
        outbox += shoppers.record_events(connection, owner, [refund], vouched=True)
    return moved._replace(releases=release, shopper=owner if release else None, outbox=outbox)


def list_abandoned(age_s: float, limit: int) -> list[UUID]:
    """Return orders unpaid for more than ``age_s`` seconds, oldest first; ``age_s`` exceeds any request's duration."""
    return [row[0] for row in read(LIST_ABANDONED, age_s=age_s, limit=limit)]
