"""Delete idle users without any data: ids that a client once sent, and guests that never did anything.

The following are not deleted: accounts, guests merged into one (late events and the account's erasure need the row),
and users with a valid refresh token, events, orders, purchases or searches. A user with a cart or wishlist is kept for
as long as events are kept, since that may be all that an anonymous client has written.
"""

from typing import Final

from shared.clients.postgres import execute, transaction

IDLE_DAYS: Final = 30
BATCH_ROWS: Final = 1000

# Users are locked before the other tables are read, so that no event or cart is added in between: a transaction that
# adds one writes the user's row first. Rows locked by others are left for the next run.
LOCK: Final = f"""
SELECT id FROM users
WHERE id > :after AND email IS NULL AND merged_into IS NULL
  AND greatest(created_at, last_seen_at) < now() - interval '{IDLE_DAYS} days'
ORDER BY id LIMIT {BATCH_ROWS} FOR UPDATE SKIP LOCKED"""
DELETE: Final = """
DELETE FROM users u WHERE id = ANY (cast(:ids AS bigint[]))
  AND NOT EXISTS (SELECT FROM events WHERE user_id = u.id)
  AND NOT EXISTS (SELECT FROM orders WHERE user_id = u.id)
  AND NOT EXISTS (SELECT FROM user_purchases WHERE user_id = u.id)
  AND NOT EXISTS (SELECT FROM search_history WHERE user_id = u.id)
  AND NOT EXISTS (SELECT FROM refresh_tokens WHERE user_id = u.id AND expires_at > now())
  AND (greatest(created_at, last_seen_at) < now() - make_interval(months => cast(:event_months AS integer))
       OR NOT EXISTS (SELECT FROM cart_items WHERE user_id = u.id)
       AND NOT EXISTS (SELECT FROM wishlist_items WHERE user_id = u.id))
RETURNING id"""


def delete_idle(event_months: int) -> int:
    """Delete the users without any data who have not been seen for IDLE_DAYS; return how many.

    Works in batches, each in its own short transaction. ``event_months`` is how long events are kept.
    """
    deleted, after = 0, 0
    while True:
        with transaction(statement_timeout_s=0) as connection:
            ids = [int(row[0]) for row in execute(connection, LOCK, {"after": after})]
            if not ids:
                return deleted
            deleted += len(execute(connection, DELETE, {"ids": ids, "event_months": event_months}))
        after = ids[-1]
