"""Carts: their JSON, built by Postgres, and changes to them under the shopper's lock."""

from collections.abc import Sequence
from typing import Final

from shared.clients.postgres import Connection, execute_prepared, read
from shared.domain.carts import MAX_LINES, MAX_QUANTITY, CartLine, check_stock
from shared.domain.events import EventType
from shared.errors import CartFull, NotInCart, ProductNotFound
from shared.storage.shopping import shoppers
from shared.storage.shopping.shoppers import ShopperEvent

# {owner} is a fixed expression. `changes` has the shortages of CartLine.shortness and price changes.
_GET: Final = """
SELECT json_build_object(
    'items', coalesce(json_agg(json_build_object(
        'product', product_json(p, c, s), 'quantity', i.quantity, 'price_when_added', i.price_when_added,
        'price', p.price, 'line_total', i.quantity * p.price, 'added_at', i.added_at,
        'changes', array_remove(ARRAY[
            CASE WHEN NOT p.is_active THEN 'unavailable' WHEN p.quantity = 0 THEN 'out_of_stock'
                 WHEN p.stock_counted AND p.quantity < i.quantity THEN 'insufficient_stock' END,
            CASE WHEN p.price > i.price_when_added THEN 'price_increased'
                 WHEN p.price < i.price_when_added THEN 'price_decreased' END], NULL)
        ) ORDER BY i.added_at, i.product_id), '[]'),
    'total', coalesce(sum(i.quantity * p.price), 0), 'item_count', coalesce(sum(i.quantity), 0))::text
FROM cart_items i JOIN products p ON p.id = i.product_id
LEFT JOIN categories c ON c.id = p.category_id LEFT JOIN product_stats s ON s.product_id = p.id
WHERE i.user_id = {owner}"""
GET: Final = _GET.format(owner="(SELECT id FROM users WHERE external_id = :shopper)")
GET_BY_USER_ID: Final = _GET.format(owner=":user_id")

LINE: Final = """
SELECT p.id, p.external_id, p.name, p.price, p.quantity, p.is_active,
       (SELECT quantity FROM cart_items WHERE user_id = :user_id AND product_id = p.id),
       (SELECT count(*) FROM cart_items WHERE user_id = :user_id), p.stock_counted
FROM products p WHERE p.id = :product_id"""
PUT: Final = """
INSERT INTO cart_items (user_id, product_id, quantity, price_when_added)
SELECT :user_id, id, :quantity, price FROM products WHERE id = :product_id
ON CONFLICT (user_id, product_id) DO UPDATE SET quantity = EXCLUDED.quantity,
    price_when_added = CASE WHEN cast(:update_price AS boolean)
        THEN EXCLUDED.price_when_added ELSE cart_items.price_when_added END"""
REMOVE: Final = """
DELETE FROM cart_items WHERE user_id = :user_id AND product_id = ANY (cast(:product_ids AS bigint[]))
RETURNING product_id, quantity"""
CLEAR: Final = "DELETE FROM cart_items WHERE user_id = :user_id RETURNING product_id, quantity"


def show(shopper: str) -> bytes:
    """Return a shopper's cart as JSON, with current prices and stock; an unknown shopper has an empty cart."""
    return str(read(GET, shopper=shopper)[0][0]).encode()


def show_locked(connection: Connection, user_id: int) -> bytes:
    """Return a cart as JSON, as the caller's transaction sees it; ``user_id`` is the shopper's row id."""
    return str(execute_prepared(connection, GET_BY_USER_ID, {"user_id": user_id})[0][0]).encode()


def _line(connection: Connection, user_id: int, product_id: int) -> tuple[CartLine, int | None, int]:
    """Return the product as a cart line, its quantity in the cart (None if absent), and the number of lines."""
    rows = execute_prepared(connection, LINE, {"user_id": user_id, "product_id": product_id})
    if not rows:
        raise ProductNotFound(f"There is no product {product_id}.")
    row = rows[0]
    line = CartLine(int(row[0]), row[1], row[2], row[3], int(row[4]), bool(row[5]), int(row[6] or 0), bool(row[8]))
    if not line.is_active:
        raise ProductNotFound(f"Product {product_id} is no longer sold.")
    return line, row[6], int(row[7])


def _put(connection: Connection, user_id: int, line: CartLine, *, update_price: bool) -> None:
    parameters = {
        "user_id": user_id,
        "product_id": line.product_id,
        "quantity": line.quantity,
        "update_price": update_price,
    }
    execute_prepared(connection, PUT, parameters)


def _cart_events(line: CartLine, before: int) -> list[ShopperEvent]:
    difference = line.quantity - before
    if difference == 0:
        return []
    kind = EventType.ADD_TO_CART if difference > 0 else EventType.REMOVE_FROM_CART
    return [ShopperEvent(kind, line.product_id, {"quantity": abs(difference)})]


def add(connection: Connection, shopper: str, product_id: int, quantity: int) -> tuple[int, bool, list[int]]:
    """Add ``quantity`` of a product to the cart, which stays locked until the transaction ends.

    Returns the shopper's row id, whether the line is new, and the ids of outbox rows. Raises ProductNotFound (also for
    an inactive product), OutOfStock, and CartFull beyond MAX_LINES lines or MAX_QUANTITY of one product.
    """
    user_id = shoppers.lock_shopper(connection, shopper)
    product, before, lines = _line(connection, user_id, product_id)
    line = product._replace(quantity=product.quantity + quantity)
    if before is None and lines >= MAX_LINES:
        raise CartFull(f"A cart holds at most {MAX_LINES} different products; remove one first.")
    if line.quantity > MAX_QUANTITY:
        raise CartFull(
            f"A cart holds at most {MAX_QUANTITY} of one product; it has {before or 0} of product {product_id}."
        )
    check_stock([line])
    _put(connection, user_id, line, update_price=True)
    return user_id, before is None, shoppers.record_events(connection, shopper, _cart_events(line, before or 0))


def change(connection: Connection, shopper: str, product_id: int, quantity: int) -> tuple[int, list[int]]:
    """Set the quantity of a product in the cart; return the shopper's row id and the ids of outbox rows.

    Raises NotInCart, ProductNotFound (also for an inactive product) and OutOfStock.
    """
    user_id = shoppers.lock_shopper(connection, shopper)
    product, before, _lines = _line(connection, user_id, product_id)
    if before is None:
        raise NotInCart(f"Product {product_id} is not in the cart; add it with POST /cart/items.")
    line = product._replace(quantity=quantity)
    check_stock([line])
    _put(connection, user_id, line, update_price=False)
    return user_id, shoppers.record_events(connection, shopper, _cart_events(line, before))


def remove(connection: Connection, shopper: str, product_ids: Sequence[int] | None) -> tuple[int, list[int]]:
    """Remove products (None: all) from the cart; return the shopper's row id and the ids of outbox rows.

    A product that is not in the cart is ignored.
    """
    user_id = shoppers.lock_shopper(connection, shopper)
    if product_ids is None:
        removed = execute_prepared(connection, CLEAR, {"user_id": user_id})
    else:
        removed = execute_prepared(connection, REMOVE, {"user_id": user_id, "product_ids": list(product_ids)})
    events = [ShopperEvent(EventType.REMOVE_FROM_CART, int(row[0]), {"quantity": int(row[1])}) for row in removed]
    return user_id, shoppers.record_events(connection, shopper, events)
