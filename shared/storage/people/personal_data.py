"""Everything held on one user: read as one document, or taken away.

Erasure leaves what the shop counts (events, orders) without anybody they belong to: events go to a new row that nobody
knows, sessions and metadata cleared. A digest of the id stays, so that an event on its way brings nobody back.
A table added later that holds an id must be named here: tests/integration/accounts/test_erasure.py looks into all.
"""

import secrets
from typing import Any, Final

from shared.clients.postgres import Connection, execute, read, read_one, transaction
from shared.storage.shopping.orders import ORDER

# the user's own id, and those of the guests that became part of them
_IDS: Final = """WITH person AS (
    SELECT id, external_id FROM users WHERE external_id = :user_id
    UNION ALL
    SELECT g.id, g.external_id FROM users u JOIN users g ON g.merged_into = u.id WHERE u.external_id = :user_id
)"""


def _rows(columns: str, source: str, order: str) -> str:
    return f"(SELECT coalesce(json_agg(r), '[]') FROM (SELECT {columns} FROM {source} ORDER BY {order}) AS r)"


_MINE: Final = "user_id IN (SELECT id FROM person)"
EXPORT: Final = f"""
{_IDS}
SELECT json_build_object(
    'exported_at', now(),
    'profile', (SELECT json_build_object('user_id', external_id, 'username', username, 'email', email, 'role', role,
        'is_guest', is_anonymous, 'latitude', latitude, 'longitude', longitude, 'city', city,
        'created_at', created_at, 'registered_at', registered_at, 'last_seen_at', last_seen_at)
        FROM users WHERE external_id = :user_id),
    'guests', (SELECT coalesce(json_agg(json_build_object('user_id', external_id)), '[]')
        FROM person WHERE external_id <> :user_id),
    'events', {
    _rows(
        "event_id, product_id, event_type, quantity, occurred_at, received_at, session_id, metadata",
        f"events WHERE {_MINE}",
        "occurred_at, event_id",
    )
},
    'purchases', {
    _rows("product_id, purchase_count, first_at, last_at", f"user_purchases WHERE {_MINE}", "product_id")
},
    'preferences', {_rows("kind, key, score, as_of", f"user_preferences WHERE {_MINE}", "kind, key")},
    'price_band', {_rows("weight, log_sum, square_sum, as_of", f"user_price_bands WHERE {_MINE}", "as_of")},
    'searches', {_rows("query, searches, first_at, last_at", f"search_history WHERE {_MINE}", "last_at")},
    'cart', {
    _rows("product_id, quantity, price_when_added, added_at", f"cart_items WHERE {_MINE}", "added_at, product_id")
},
    'wishlist', {_rows("product_id, added_at", f"wishlist_items WHERE {_MINE}", "added_at, product_id")},
    'orders', (SELECT coalesce(json_agg({ORDER} ORDER BY o.created_at, o.id), '[]') FROM orders o WHERE o.{_MINE}),
    'logins', {_rows("issued_at, expires_at, used_at, revoked_at", f"refresh_tokens WHERE {_MINE}", "issued_at")},
    'recommendations', {
    _rows(
        "id, kind, strategy, model_version, product_ids, at",
        "recommendation_log WHERE user_id IN (SELECT external_id FROM person)",
        "at",
    )
},
    'feedback', {
    _rows(
        "f.recommendation_id, f.product_id, f.action, f.position, f.at",
        "recommendation_feedback f JOIN recommendation_log l ON l.id = f.recommendation_id "
        "WHERE l.user_id IN (SELECT external_id FROM person)",
        "f.at",
    )
},
    'rejected_events', {
    _rows(
        "event, reason, rejected_at",
        "rejected_events WHERE event ->> 'user_id' IN (SELECT external_id FROM person)",
        "rejected_at",
    )
}
)::text
WHERE EXISTS (SELECT FROM person)"""

PERSON: Final = f"{_IDS} SELECT id, external_id FROM person"
LOCK: Final = "SELECT id FROM users WHERE id = ANY (:ids) ORDER BY id FOR UPDATE"
NOBODY: Final = "INSERT INTO users (external_id, created_at) VALUES (:nobody, date_trunc('day', now())) RETURNING id"
REMEMBER: Final = """
INSERT INTO erased_users (digest)
SELECT sha256(convert_to(user_id, 'UTF8')) FROM unnest(cast(:user_ids AS text[])) AS user_id
WHERE starts_with(user_id, 'acct_') OR starts_with(user_id, 'guest_')
ON CONFLICT DO NOTHING"""
EVENTS: Final = """
UPDATE events SET user_id = :nobody_id, session_id = NULL, metadata = NULL WHERE user_id = ANY (:ids)"""
ERASE: Final = (
    """WITH gone AS (DELETE FROM recommendation_log WHERE user_id = ANY (:user_ids) RETURNING id)
    DELETE FROM recommendation_feedback WHERE recommendation_id IN (SELECT id FROM gone)""",
    "DELETE FROM rejected_events WHERE event ->> 'user_id' = ANY (:user_ids)",
    "DELETE FROM outbox WHERE attributes ->> 'user_id' = ANY (:user_ids)",
    # an answer kept for a repeated request may name its user, in its route or in its body
    """DELETE FROM idempotency_keys k USING unnest(cast(:user_ids AS text[])) AS one
    WHERE strpos(k.route, one) > 0 OR position(convert_to(one, 'UTF8') IN k.body) > 0""",
    # who did something as staff is no longer known; what was done is
    """UPDATE audit_log SET actor = 'erased' WHERE actor = ANY (:user_ids)""",
    """UPDATE audit_log SET subject = 'erased', before = before - 'user_id', after = after - 'user_id'
    WHERE subject = ANY (SELECT 'user:' || one FROM unnest(cast(:user_ids AS text[])) AS one)""",
)
FAILURES: Final = "DELETE FROM login_failures WHERE subject = :subject"
# with all that hangs on it: preferences, purchases, searches, logins, cart, wishlist; an order stays without its owner
ROWS: Final = "DELETE FROM users WHERE id = ANY (:ids)"

# an event that waited for the erasure to commit may have made the row anew: for the retention job
CAME_BACK: Final = """
SELECT external_id FROM users JOIN erased_users ON digest = sha256(convert_to(external_id, 'UTF8'))
WHERE starts_with(external_id, 'acct_') OR starts_with(external_id, 'guest_') LIMIT 1000"""


def export(user_id: str) -> bytes | None:
    """Return everything held on a user as JSON; None when there is no such user."""
    row = read_one(EXPORT, user_id=user_id)
    return None if row is None else str(row[0]).encode()


def erase(connection: Connection, user_id: str, email: str | None) -> list[str]:
    """Take a user away, and return the ids whose cached answers the caller drops after the commit; none: no user."""
    found = execute(connection, PERSON, {"user_id": user_id})
    if not found:
        return []
    ids: list[int] = [row[0] for row in found]
    user_ids: list[str] = [row[1] for row in found]
    execute(connection, LOCK, {"ids": ids})
    nobody = execute(connection, NOBODY, {"nobody": f"erased_{secrets.token_hex(16)}"})[0][0]
    execute(connection, REMEMBER, {"user_ids": user_ids})
    execute(connection, EVENTS, {"nobody_id": nobody, "ids": ids})
    for statement in ERASE:
        execute(connection, statement, {"user_ids": user_ids})
    if email is not None:
        from shared.storage.people.login_failures import of_account

        execute(connection, FAILURES, {"subject": of_account(email)})
    # the account last: guests refer to it
    gone: dict[str, Any] = {"ids": ids}
    execute(connection, ROWS, gone)
    return user_ids


def erase_again() -> int:
    """Erase whoever came back by an event that was being stored while they were erased; return how many did."""
    rows = read(CAME_BACK)
    for row in rows:
        with transaction(statement_timeout_s=0) as connection:
            erase(connection, row[0], None)
    return len(rows)
