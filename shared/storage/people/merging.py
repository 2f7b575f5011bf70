"""Merging a guest into an account: once, in one transaction, so that nothing is lost or counted twice.

Events change their owner, counts add up, and decayed sums are folded like those of another message. Events that arrive
under the guest's id within ten minutes were on their way and go to the account (STORE in
shared/storage/events/ingestion.py).
"""

from typing import Final

from shared.clients.postgres import Connection, execute
from shared.domain.carts import MAX_LINES, MAX_QUANTITY, MAX_WISHLIST
from shared.storage.events.ingestion import fold

# in the order of ids, like every transaction that locks several users
LOCK: Final = "SELECT id FROM users WHERE external_id = ANY (:user_ids) ORDER BY id FOR UPDATE"
# Only a guest, and only once. The guest's location is taken only if the account has none.
CLAIM: Final = """
WITH guest AS (
    UPDATE users SET merged_into = :account, merged_at = clock_timestamp()
    WHERE external_id = :guest_id AND is_anonymous AND merged_into IS NULL AND id <> :account
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
# Quantities add up, at most to the stock; a line that is sold out stays with quantity 1, and the cart reports it. If
# the lines exceed what a cart holds, the guest's oldest are dropped.
CART: Final = f"""
WITH moved AS (DELETE FROM cart_items WHERE user_id = :guest RETURNING *),
lines AS (
    SELECT m.product_id, m.price_when_added, m.added_at, own.quantity IS NOT NULL AS in_cart,
           greatest(1, least(m.quantity + coalesce(own.quantity, 0), p.quantity, {MAX_QUANTITY})) AS quantity,
           row_number() OVER (PARTITION BY own.quantity IS NULL ORDER BY m.added_at DESC, m.product_id) AS recency
    FROM moved m JOIN products p ON p.id = m.product_id
    LEFT JOIN cart_items own ON own.user_id = :account AND own.product_id = m.product_id
)
INSERT INTO cart_items (user_id, product_id, quantity, price_when_added, added_at)
SELECT :account, product_id, quantity, price_when_added, added_at FROM lines
WHERE in_cart OR recency <= {MAX_LINES} - (SELECT count(*) FROM cart_items WHERE user_id = :account) ORDER BY product_id
ON CONFLICT (user_id, product_id) DO UPDATE SET quantity = EXCLUDED.quantity"""
WISHLIST: Final = f"""
WITH moved AS (DELETE FROM wishlist_items WHERE user_id = :guest RETURNING *),
items AS (
    SELECT m.product_id, m.added_at, row_number() OVER (ORDER BY m.added_at DESC, m.product_id) AS recency
    FROM moved m
    WHERE NOT EXISTS (SELECT FROM wishlist_items w WHERE w.user_id = :account AND w.product_id = m.product_id)
)
INSERT INTO wishlist_items (user_id, product_id, added_at)
SELECT :account, product_id, added_at FROM items
WHERE recency <= {MAX_WISHLIST} - (SELECT count(*) FROM wishlist_items WHERE user_id = :account) ORDER BY product_id"""
REFRESH_TOKENS: Final = "DELETE FROM refresh_tokens WHERE user_id = :guest"
STATEMENTS: Final = (EVENTS, PURCHASES, PREFERENCES, PRICE_BANDS, SEARCHES, ORDERS, CART, WISHLIST, REFRESH_TOKENS)


def merge(connection: Connection, guest_id: str, account: int, account_id: str) -> bool:
    """Merge a guest into an account; ``account`` is the row's id, ``account_id`` the public id.

    Returns False if ``guest_id`` is no guest or is merged already. The caller drops both users' cached answers after
    the commit.
    """
    execute(connection, LOCK, {"user_ids": [guest_id, account_id]})
    claimed = execute(connection, CLAIM, {"guest_id": guest_id, "account": account})
    if not claimed:
        return False
    ids = {"guest": claimed[0][0], "account": account}
    for statement in STATEMENTS:
        execute(connection, statement, {name: ids[name] for name in ids if f":{name}" in statement})
    execute(connection, RECOMMENDATIONS, {"guest_id": guest_id, "account_id": account_id})
    return True
