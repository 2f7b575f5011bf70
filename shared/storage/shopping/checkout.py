"""Place an order: one transaction locks the products, checks and takes their stock, and writes the order and lines."""

from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

import orjson

from shared.clients.postgres import Connection, execute_prepared
from shared.domain import carts
from shared.domain.carts import CartLine
from shared.domain.events import uuid7
from shared.domain.orders import OrderState, purchase_event_id
from shared.domain.shop import rounded
from shared.errors import CartEmpty, IdempotencyMismatch, PriceChanged
from shared.storage.catalog import bulk_writes
from shared.storage.operations import shop
from shared.storage.operations.idempotency import KEY_REUSED, RETENTION_S
from shared.storage.shopping import shoppers

# An Idempotency-Key identifies a request for RETENTION_S and may then be reused for another, which must not find this
# order. The order is newer than its key, so it is found for as long as the key is stored.
GET_BY_CHECKOUT: Final = """
WITH forgotten AS (
    UPDATE orders SET checkout_id = NULL
    WHERE checkout_id = :checkout_id AND created_at < now() - make_interval(secs => cast(:retention_s AS float8))
    RETURNING id
)
SELECT id, request_hash, state, total FROM orders
WHERE checkout_id = :checkout_id AND id NOT IN (SELECT id FROM forgotten)"""
# Once it holds the locks, Postgres rereads rows that were changed in the meantime, so stock and prices are current.
LOCK_CART: Final = """
SELECT p.id, p.external_id, p.name, p.price, p.quantity, p.is_active, i.quantity, p.stock_counted,
       p.variant_title
FROM cart_items i JOIN products p ON p.id = i.product_id
WHERE i.user_id = :user_id ORDER BY p.id FOR NO KEY UPDATE OF p"""
PLACE: Final = """
WITH lines AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(cast(:lines AS jsonb)) AS l(
        product_id bigint, external_id text, name text, variant_title text, quantity integer, price numeric,
        event_id uuid)
), placed_order AS (
    INSERT INTO orders (id, user_id, checkout_id, request_hash, state, total)
    VALUES (:order_id, :user_id, :checkout_id, :request_hash, 'placed', :total)
), emptied AS (
    DELETE FROM cart_items WHERE user_id = :user_id RETURNING product_id, price_when_added, added_at
), order_lines AS (
    INSERT INTO order_items
        (order_id, product_id, external_id, name, variant_title, quantity, price, event_id, price_when_added, added_at)
    SELECT :order_id, product_id, external_id, name, variant_title, quantity, price, event_id, price_when_added,
           added_at
    FROM lines JOIN emptied USING (product_id)
), payment AS (
    INSERT INTO payments (order_id, provider, state, amount) VALUES (:order_id, :provider, 'pending', :total)
), history AS (
    INSERT INTO order_state_changes (order_id, state) VALUES (:order_id, 'placed')
), stock AS (
    UPDATE products p SET quantity = p.quantity - l.quantity FROM lines l
    WHERE p.id = l.product_id AND p.stock_counted
    RETURNING p.id, p.quantity
)
SELECT id FROM stock WHERE quantity = 0 ORDER BY id"""


class Placed(NamedTuple):
    """A new order awaiting payment, or the order from an earlier run of the same request, in any state.

    ``sold_out``: at least one product is now out of stock. ``outbox`` lists the messages to publish after the commit.
    """

    order_id: UUID
    state: OrderState
    total: Decimal
    products: list[int]
    sold_out: bool
    outbox: list[int]


def place(
    connection: Connection,
    shopper: str,
    checkout_id: UUID,
    request_hash: bytes,
    *,
    expected_total: Decimal | None,
    provider: str,
) -> Placed:
    """Turn the cart into an order at current prices, and take its products from stock.

    If an earlier run of the same request placed the order and then stopped, that order is returned, for as long as its
    Idempotency-Key is valid. Raises CartEmpty, OutOfStock with every line that is short, PriceChanged if the total is
    not ``expected_total`` after rounding to the currency, and IdempotencyMismatch if the earlier run had another body.
    """
    user_id = shoppers.lock_shopper(connection, shopper)
    earlier = execute_prepared(connection, GET_BY_CHECKOUT, {"checkout_id": checkout_id, "retention_s": RETENTION_S})
    if earlier:
        order_id, earlier_hash, state, total = earlier[0]
        if bytes(earlier_hash) != request_hash:
            raise IdempotencyMismatch(KEY_REUSED)
        return Placed(order_id, OrderState(state), total, [], False, [])
    lines = [CartLine(*row) for row in execute_prepared(connection, LOCK_CART, {"user_id": user_id})]
    if not lines:
        raise CartEmpty("The cart is empty; add products with POST /cart/items.")
    carts.check_stock(lines)
    total = carts.total(lines)
    currency = shop.current_in(connection).currency if expected_total is not None else None
    # In JavaScript, 0.1 + 0.2 is 0.30000000000000004.
    if expected_total is not None and rounded(expected_total, currency) != rounded(total, currency):
        raise PriceChanged(
            f"The total is now {total}, not {expected_total}; show the customer the cart again.",
            expected_total=float(expected_total),
            total=float(total),
        )
    order_id = uuid7()
    rows = [
        {
            "product_id": line.product_id,
            "external_id": line.external_id,
            "name": line.name,
            "variant_title": line.variant_title,
            "quantity": line.quantity,
            "price": str(line.price),
            "event_id": str(purchase_event_id(order_id, line.product_id)),
        }
        for line in lines
    ]
    parameters = {
        "lines": orjson.dumps(rows).decode(),
        "order_id": order_id,
        "user_id": user_id,
        "checkout_id": checkout_id,
        "request_hash": request_hash,
        "total": total,
        "provider": provider,
    }
    sold_out = [int(row[0]) for row in execute_prepared(connection, PLACE, parameters)]
    outbox = bulk_writes.announce(connection, sold_out, "stock")
    return Placed(order_id, OrderState.PLACED, total, [line.product_id for line in lines], bool(sold_out), outbox)
