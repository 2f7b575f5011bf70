"""Wishlists: what a shopper keeps for later, newest first. Postgres writes the JSON."""

from typing import Final

from shared.clients.postgres import Connection, execute, read, read_one, write
from shared.domain.carts import MAX_WISHLIST
from shared.domain.events import EventType
from shared.errors import NotInWishlist, ProductNotFound, WishlistFull
from shared.storage.shopping import shoppers
from shared.storage.shopping.shoppers import Happened

_ITEM: Final = "json_build_object('product', product_json(p, c.name, s), 'added_at', w.added_at)"
_PRODUCT: Final = """JOIN products p ON p.id = w.product_id
    LEFT JOIN categories c ON c.id = p.category_id LEFT JOIN product_stats s ON s.product_id = p.id"""
PAGE: Final = f"""
WITH owner AS MATERIALIZED (SELECT id FROM users WHERE external_id = :shopper),
page AS MATERIALIZED (
    SELECT * FROM wishlist_items WHERE user_id = (SELECT id FROM owner)
    ORDER BY added_at DESC, product_id LIMIT :page_size OFFSET cast(:skipped AS bigint)
)
SELECT (SELECT count(*) FROM wishlist_items WHERE user_id = (SELECT id FROM owner)),
       coalesce((SELECT json_agg({_ITEM} ORDER BY w.added_at DESC, w.product_id) FROM page w {_PRODUCT}), '[]')::text"""
ONE: Final = f"""
SELECT {_ITEM}::text FROM wishlist_items w {_PRODUCT}
WHERE w.user_id = (SELECT id FROM users WHERE external_id = :shopper) AND w.product_id = :product_id"""
STATE: Final = """
SELECT p.is_active, EXISTS (SELECT FROM wishlist_items WHERE user_id = :user_id AND product_id = p.id),
       (SELECT count(*) FROM wishlist_items WHERE user_id = :user_id)
FROM products p WHERE p.id = :product_id"""
ADD: Final = "INSERT INTO wishlist_items (user_id, product_id) VALUES (:user_id, :product_id)"
REMOVE: Final = """
DELETE FROM wishlist_items
WHERE user_id = (SELECT id FROM users WHERE external_id = :shopper) AND product_id = :product_id"""


def page(shopper: str, number: int, size: int) -> bytes:
    """Return a page of the wishlist as the JSON of ``GET /wishlist``."""
    total, items = read(PAGE, shopper=shopper, page_size=size, skipped=(number - 1) * size)[0]
    return shoppers.paged("items", items, int(total), number, size)


def one(shopper: str, product_id: int) -> bytes:
    """Return one entry as JSON. Raises NotInWishlist."""
    row = read_one(ONE, shopper=shopper, product_id=product_id)
    if row is None:
        raise NotInWishlist(f"Product {product_id} is not on the wishlist.")
    return str(row[0]).encode()


def add(connection: Connection, shopper: str, product_id: int) -> list[int] | None:
    """Put a product on the wishlist and return the outbox rows; None when it is there already.

    Raises ProductNotFound (also where it is no longer sold), and WishlistFull beyond MAX_WISHLIST products.
    """
    user_id = shoppers.lock_shopper(connection, shopper)
    parameters = {"user_id": user_id, "product_id": product_id}
    rows = execute(connection, STATE, parameters)
    if rows and rows[0][1]:
        return None
    if not rows or not rows[0][0]:
        raise ProductNotFound(f"There is no product {product_id}." if not rows else "The product is no longer sold.")
    if rows[0][2] >= MAX_WISHLIST:
        raise WishlistFull(f"A wishlist holds at most {MAX_WISHLIST} products; remove one first.")
    execute(connection, ADD, parameters)
    return shoppers.tell(connection, shopper, [Happened(EventType.WISHLIST, product_id)])


def remove(shopper: str, product_id: int) -> None:
    """Take a product off the wishlist; what is not on it is no error."""
    write(REMOVE, shopper=shopper, product_id=product_id)
