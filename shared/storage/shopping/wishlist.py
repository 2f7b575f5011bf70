"""Wishlists: the products that a shopper saved for later, newest first. Postgres builds the JSON."""

from collections.abc import Sequence
from typing import Final

from shared.clients.postgres import Connection, execute, read_one, write
from shared.domain import cursors
from shared.domain.carts import MAX_WISHLIST
from shared.domain.cursors import KeyType
from shared.domain.events import EventType
from shared.errors import NotInWishlist, ProductNotFound, WishlistFull
from shared.storage.shopping import shoppers
from shared.storage.shopping.shoppers import ListPage, ShopperEvent

_ITEM: Final = "json_build_object('product', product_json(p, c, s), 'added_at', w.added_at)"
_PRODUCT: Final = """JOIN products p ON p.id = w.product_id
    LEFT JOIN categories c ON c.id = p.category_id LEFT JOIN product_stats s ON s.product_id = p.id"""
KEY: Final[list[tuple[str, bool, KeyType]]] = [("added_at", True, "timestamptz"), ("product_id", False, "bigint")]
_WANTED: Final = """user_id = (SELECT id FROM owner)
    AND (cast(:external_ids AS text[]) = '{{}}'
         OR product_id IN (SELECT id FROM products WHERE external_id = ANY (cast(:external_ids AS text[]))))"""
# One row more than the page has, to see whether there is a next page.
_PAGE: Final = f"""
WITH owner AS MATERIALIZED (SELECT id FROM users WHERE external_id = :shopper),
ordered AS MATERIALIZED (
    SELECT *, row_number() OVER (ORDER BY added_at DESC, product_id) AS place FROM (
        SELECT * FROM wishlist_items WHERE {_WANTED}{{after}}
        ORDER BY added_at DESC, product_id LIMIT cast(:page_size AS bigint) + 1 OFFSET cast(:skipped AS bigint)) AS rows
)
SELECT (SELECT count(*) FROM wishlist_items WHERE {_WANTED}),
       coalesce((SELECT json_agg({_ITEM} ORDER BY w.added_at DESC, w.product_id) FROM ordered w {_PRODUCT}
                 WHERE w.place <= cast(:page_size AS bigint)), '[]')::text,
       (SELECT json_build_array(added_at, product_id)::text FROM ordered WHERE place = cast(:page_size AS bigint)
            AND EXISTS (SELECT FROM ordered WHERE place > cast(:page_size AS bigint)))"""
PAGES: Final = (_PAGE.format(after=""), _PAGE.format(after=f" AND {cursors.after(KEY)}"))
GET: Final = f"""
SELECT {_ITEM}::text FROM wishlist_items w {_PRODUCT}
WHERE w.user_id = (SELECT id FROM users WHERE external_id = :shopper) AND w.product_id = :product_id"""
CHECK: Final = """
SELECT p.is_active, EXISTS (SELECT FROM wishlist_items WHERE user_id = :user_id AND product_id = p.id),
       (SELECT count(*) FROM wishlist_items WHERE user_id = :user_id)
FROM products p WHERE p.id = :product_id"""
ADD: Final = "INSERT INTO wishlist_items (user_id, product_id) VALUES (:user_id, :product_id)"
REMOVE: Final = """
DELETE FROM wishlist_items
WHERE user_id = (SELECT id FROM users WHERE external_id = :shopper) AND product_id = :product_id"""


def page(shopper: str, wanted: ListPage, external_ids: Sequence[str] = ()) -> bytes:
    """Return a page of the wishlist as the JSON of ``GET /wishlist``: of the products with these ids, or of all.

    Raises InvalidRequest for an invalid cursor.
    """
    types = [kind for _column, _descends, kind in KEY]
    return shoppers.read_page(shopper, "items", PAGES, types, wanted, external_ids=list(external_ids))


def get_item(shopper: str, product_id: int) -> bytes:
    """Return a product in the wishlist as JSON. Raises NotInWishlist."""
    row = read_one(GET, shopper=shopper, product_id=product_id)
    if row is None:
        raise NotInWishlist(f"Product {product_id} is not on the wishlist.")
    return str(row[0]).encode()


def add(connection: Connection, shopper: str, product_id: int) -> list[int] | None:
    """Add a product to the wishlist and return the ids of outbox rows; None if it is already there.

    Raises ProductNotFound (also for an inactive product), and WishlistFull beyond MAX_WISHLIST products.
    """
    user_id = shoppers.lock_shopper(connection, shopper)
    parameters = {"user_id": user_id, "product_id": product_id}
    rows = execute(connection, CHECK, parameters)
    if rows and rows[0][1]:
        return None
    if not rows or not rows[0][0]:
        raise ProductNotFound(
            f"There is no product {product_id}." if not rows else f"Product {product_id} is no longer sold."
        )
    if rows[0][2] >= MAX_WISHLIST:
        raise WishlistFull(f"A wishlist holds at most {MAX_WISHLIST} products; remove one first.")
    execute(connection, ADD, parameters)
    return shoppers.record_events(connection, shopper, [ShopperEvent(EventType.WISHLIST, product_id)])


def remove(shopper: str, product_id: int) -> None:
    """Remove a product from the wishlist. A product that is not there is ignored."""
    write(REMOVE, shopper=shopper, product_id=product_id)
