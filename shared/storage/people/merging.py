"""Merge a guest into an account in one transaction, so that nothing is lost or counted twice.

Events change owner, counts are added up, and decayed sums are folded like those of another message. Cart lines, pieces
and wishlist entries that do not fit stay with the guest and are listed in the response. A guest belongs to the first
account that claims them; each further login to it moves what has been added since. Events that arrive later but were
published before the merge go to the account (STORE in shared/storage/events/ingestion.py).
"""

from dataclasses import dataclass, field
from typing import Final, Literal

from shared.clients.postgres import Connection, execute
from shared.domain.carts import MAX_LINES, MAX_QUANTITY, MAX_WISHLIST
from shared.domain.identity import is_account
from shared.errors import Conflict, Forbidden
from shared.storage.events.decayed_sums import fold
from shared.storage.schema.advisory_locks import USER_MERGES, lock_until_commit

# In id order, like every transaction that locks several users. Storing a guest's event locks the guest's row, and its
# foreign keys then read the account's row; with FOR UPDATE the two could deadlock.
LOCK: Final = "SELECT id FROM users WHERE external_id = ANY (:user_ids) ORDER BY id FOR NO KEY UPDATE"
# Adds a guest whose events are still in transit, so that these will follow.
ADD: Final = "INSERT INTO users (external_id) VALUES (:guest_id) ON CONFLICT DO NOTHING"
# Only a guest can be merged, and only into one account. The guest's location is used only if the account has none. The
# time is read under the lock, so everything that the guest wrote before it is moved.
CLAIM: Final = """
WITH guest AS (
    UPDATE users SET merged_into = :account, merged_at = clock_timestamp()
    WHERE external_id = :guest_id AND is_anonymous AND id <> :account
      AND coalesce(merged_into, :account) = :account
    RETURNING id, latitude, longitude, city
), located AS (
    UPDATE users u SET latitude = g.latitude, longitude = g.longitude, city = coalesce(u.city, g.city)
    FROM guest g WHERE u.id = :account AND u.latitude IS NULL AND g.latitude IS NOT NULL
)
SELECT id FROM guest"""
EVENTS: Final = "UPDATE events SET user_id = :account WHERE user_id = :guest"
PURCHASES: Final = """
WITH moved AS (DELETE FROM user_purchases WHERE user_id = :guest RETURNING *)
INSERT INTO user_purchases (user_id, product_id, purchase_count, first_at, last_at)
SELECT :account, product_id, purchase_count, first_at, last_at FROM moved ORDER BY product_id
ON CONFLICT (user_id, product_id) DO UPDATE SET
    purchase_count = user_purchases.purchase_count + EXCLUDED.purchase_count,
    first_at = least(user_purchases.first_at, EXCLUDED.first_at),
    last_at = greatest(user_purchases.last_at, EXCLUDED.last_at)"""
PREFERENCES: Final = f"""
WITH moved AS (DELETE FROM user_preferences WHERE user_id = :guest RETURNING *)
INSERT INTO user_preferences (user_id, kind, key, score, as_of)
SELECT :account, kind, key, score, as_of FROM moved ORDER BY kind, key
ON CONFLICT (user_id, kind, key) DO UPDATE SET
    {fold("user_preferences", "score")}, as_of = greatest(user_preferences.as_of, EXCLUDED.as_of)"""
PRICE_BANDS: Final = f"""
WITH moved AS (DELETE FROM user_price_bands WHERE user_id = :guest RETURNING *)
INSERT INTO user_price_bands (user_id, weight, log_sum, square_sum, as_of)
SELECT :account, weight, log_sum, square_sum, as_of FROM moved
ON CONFLICT (user_id) DO UPDATE SET
    {fold("user_price_bands", "weight")}, {fold("user_price_bands", "log_sum")},
    {fold("user_price_bands", "square_sum")}, as_of = greatest(user_price_bands.as_of, EXCLUDED.as_of)"""
# The account keeps its segment; without one, it gets the guest's until the next run of the job.
SEGMENT: Final = """
WITH moved AS (DELETE FROM user_segments WHERE user_id = :guest RETURNING *)
INSERT INTO user_segments (user_id, segment_id, joined_at) SELECT :account, segment_id, joined_at FROM moved
ON CONFLICT (user_id) DO NOTHING"""
SEARCHES: Final = """
WITH moved AS (DELETE FROM search_history WHERE user_id = :guest RETURNING *)
INSERT INTO search_history (user_id, query, searches, first_at, last_at)
SELECT :account, query, searches, first_at, last_at FROM moved ORDER BY query
ON CONFLICT (user_id, query) DO UPDATE SET searches = search_history.searches + EXCLUDED.searches,
    first_at = least(search_history.first_at, EXCLUDED.first_at),
    last_at = greatest(search_history.last_at, EXCLUDED.last_at)"""
# Recommendations of the last day may still lead to a purchase; older ones are counted already
# (shared/storage/recommending/attribution.py).
RECOMMENDATIONS: Final = """
UPDATE recommendation_log SET user_id = cast(:account_id AS text)
WHERE user_id = :guest_id AND at > now() - interval '25 hours'"""
ORDERS: Final = "UPDATE orders SET user_id = :account WHERE user_id = :guest"
LINES: Final = "UPDATE purchase_lines SET user_id = :account WHERE user_id = :guest"
REFUNDS: Final = "UPDATE refunds SET user_id = :account WHERE user_id = :guest"
# A product that is not in the account's cart moves with all its pieces, latest first, while the cart has room. For a
# product that is, pieces are added up to the stock and the limit per line. The rest stays with the guest.
CART: Final = f"""
WITH lines AS MATERIALIZED (
    SELECT g.product_id, g.quantity, g.price_when_added, g.added_at, own.quantity AS own_quantity, p.quantity AS stock,
           CASE WHEN own.quantity IS NOT NULL
                THEN greatest(0, least(g.quantity, p.quantity - own.quantity, {MAX_QUANTITY} - own.quantity))
                WHEN row_number() OVER (PARTITION BY own.quantity IS NULL ORDER BY g.added_at DESC, g.product_id)
                     <= {MAX_LINES} - (SELECT count(*) FROM cart_items WHERE user_id = :account)
                THEN g.quantity ELSE 0 END AS moved
    FROM cart_items g JOIN products p ON p.id = g.product_id
    LEFT JOIN cart_items own ON own.user_id = :account AND own.product_id = g.product_id
    WHERE g.user_id = :guest
), added AS (
    INSERT INTO cart_items (user_id, product_id, quantity, price_when_added, added_at)
    SELECT :account, product_id, moved, price_when_added, added_at FROM lines WHERE moved > 0 ORDER BY product_id
    ON CONFLICT (user_id, product_id) DO UPDATE SET quantity = cart_items.quantity + EXCLUDED.quantity
), emptied AS (
    DELETE FROM cart_items c USING lines l
    WHERE c.user_id = :guest AND c.product_id = l.product_id AND l.moved = l.quantity
), reduced AS (
    UPDATE cart_items c SET quantity = l.quantity - l.moved FROM lines l
    WHERE c.user_id = :guest AND c.product_id = l.product_id AND l.moved BETWEEN 1 AND l.quantity - 1
)
SELECT product_id, quantity - moved,
       CASE WHEN own_quantity IS NULL THEN 'cart_full'
            WHEN own_quantity + quantity > stock THEN 'insufficient_stock' ELSE 'quantity_limit' END
FROM lines WHERE moved < quantity ORDER BY product_id"""
WISHLIST: Final = f"""
WITH items AS MATERIALIZED (
    SELECT g.product_id, g.added_at, own.product_id IS NOT NULL AS is_known,
           row_number() OVER (PARTITION BY own.product_id IS NULL ORDER BY g.added_at DESC, g.product_id)
               <= {MAX_WISHLIST} - (SELECT count(*) FROM wishlist_items WHERE user_id = :account) AS fits
    FROM wishlist_items g LEFT JOIN wishlist_items own ON own.user_id = :account AND own.product_id = g.product_id
    WHERE g.user_id = :guest
), added AS (
    INSERT INTO wishlist_items (user_id, product_id, added_at)
    SELECT :account, product_id, added_at FROM items WHERE fits AND NOT is_known ORDER BY product_id
), emptied AS (
    DELETE FROM wishlist_items w USING items i
    WHERE w.user_id = :guest AND w.product_id = i.product_id AND (i.fits OR i.is_known)
)
SELECT product_id FROM items WHERE NOT (fits OR is_known) ORDER BY product_id"""
FOLLOW: Final = "UPDATE users SET merged_into = :account WHERE merged_into = :guest"
STATEMENTS: Final = (EVENTS, PURCHASES, PREFERENCES, PRICE_BANDS, SEGMENT, SEARCHES, ORDERS, LINES, REFUNDS)

# Adds missing rows for guests. An account's id, or that of an erased user, gets no row.
ADD_ALL: Final = """
INSERT INTO users (external_id) SELECT id FROM unnest(cast(:user_ids AS text[])) AS given(id) ORDER BY id
ON CONFLICT DO NOTHING"""
# The row of each id and of the person that it stands for. All are locked in id order, as in LOCK.
ROWS: Final = """
WITH locked AS MATERIALIZED (
    SELECT id, external_id, merged_into FROM users
    WHERE id IN (SELECT unnest(ARRAY[id, merged_into]) FROM users WHERE external_id = ANY (cast(:user_ids AS text[])))
    ORDER BY id FOR NO KEY UPDATE
)
SELECT u.external_id, u.id, p.id, p.external_id FROM locked u JOIN locked p ON p.id = coalesce(u.merged_into, u.id)
WHERE u.external_id = ANY (cast(:user_ids AS text[]))"""

# Why pieces stay: the account's cart has no room for another product, stock is insufficient, or the line is at its
# limit.
LeftReason = Literal["cart_full", "insufficient_stock", "quantity_limit"]


@dataclass(frozen=True)
class Merge:
    """Result of a merge: whether the guest now belongs to the account, and what did not fit and stays with the guest.

    ``cart`` has the product, pieces and reason of each line; ``wishlist`` has the products. ``account_id`` is the
    public id of the user who received the data.
    """

    merged: bool
    cart: list[tuple[int, int, LeftReason]] = field(default_factory=list)
    wishlist: list[int] = field(default_factory=list)
    account_id: str | None = None


def merge(connection: Connection, guest_id: str, account: int, account_id: str) -> Merge:
    """Merge a guest into an account; ``account`` is the row's id, ``account_id`` the public id.

    Nothing is merged if ``guest_id`` is an account, was erased or belongs to another account. The caller must drop both
    users' cached answers after the commit. The guest's tokens stay valid for browser tabs that still use them.
    """
    execute(connection, ADD, {"guest_id": guest_id})
    execute(connection, LOCK, {"user_ids": [guest_id, account_id]})
    claimed = execute(connection, CLAIM, {"guest_id": guest_id, "account": account})
    if not claimed:
        return Merge(merged=False, account_id=account_id)
    ids = {"guest": claimed[0][0], "account": account}
    for statement in STATEMENTS:
        execute(connection, statement, ids)
    # Users merged into the guest now belong to the guest's account.
    execute(connection, FOLLOW, ids)
    execute(connection, RECOMMENDATIONS, {"guest_id": guest_id, "account_id": account_id})
    cart = [(int(row[0]), int(row[1]), row[2]) for row in execute(connection, CART, ids)]
    wishlist = [int(row[0]) for row in execute(connection, WISHLIST, ids)]
    return Merge(True, cart, wishlist, account_id)


def merge_users(connection: Connection, from_id: str, to_id: str) -> Merge:
    """Merge one user into another; either id may be one of the shop's own. Return the result.

    Repeating it merges what has been added since. A merged id stands for the user it was merged into, whose cached
    answers the caller must drop too. Raises Conflict if ``from_id`` is an account or belongs to another user, or if
    ``to_id`` is an account that does not exist; raises Forbidden if either was erased.
    """
    if is_account(from_id):
        raise Conflict("from: an account cannot be merged into another user; let `to` be the account.")
    lock_until_commit(connection, USER_MERGES)
    execute(connection, ADD_ALL, {"user_ids": [name for name in {from_id, to_id} if not is_account(name)]})
    found = execute(connection, ROWS, {"user_ids": [from_id, to_id]})
    rows = {row[0]: (row[1], row[2], row[3]) for row in found}
    if is_account(to_id) and to_id not in rows:
        raise Conflict("to: there is no such account; send the id of one that exists.")
    if not {from_id, to_id} <= rows.keys():
        raise Forbidden("A user that was erased cannot be merged; use a new id.")
    (own, owner, _owner_id), (_row, target, target_id) = rows[from_id], rows[to_id]
    if own == target:
        return Merge(merged=True, account_id=target_id)
    if owner not in (own, target):
        raise Conflict("from: belongs to another user already, since it was merged into one.")
    result = merge(connection, from_id, int(target), target_id)
    if not result.merged:
        raise Conflict("from: cannot be merged; it is an account, or was merged into another user meanwhile.")
    return result
