"""Export: everything stored about a user, as one JSON document.

A new table that holds a user's id must be added here and to erasure.py:
tests/integration/accounts/test_erasure.py searches every table.
"""

from typing import Final

from shared.clients.postgres import read_one
from shared.storage.people.erasure import PERSON
from shared.storage.shopping.orders import ORDER


def _rows(columns: str, source: str, order: str) -> str:
    """Return an SQL expression for a JSON array of all rows of ``source``, empty if there are none."""
    return f"(SELECT coalesce(json_agg(r), '[]') FROM (SELECT {columns} FROM {source} ORDER BY {order}) AS r)"


_OWN: Final = "user_id IN (SELECT id FROM person)"
EXPORT: Final = f"""
{PERSON}
SELECT json_build_object(
    'exported_at', now(),
    'profile', (SELECT json_build_object('user_id', external_id, 'username', username, 'email', email, 'role', role,
        'is_guest', is_anonymous, 'latitude', latitude, 'longitude', longitude, 'city', city,
        'created_at', created_at, 'registered_at', registered_at, 'email_verified_at', email_verified_at,
        'last_seen_at', last_seen_at)
        FROM users WHERE external_id = :user_id),
    'guests', (SELECT coalesce(json_agg(json_build_object('user_id', external_id)), '[]')
        FROM person WHERE external_id <> :user_id),
    'events', {
    _rows(
        "event_id, product_id, event_type, quantity, occurred_at, received_at, session_id, metadata",
        f"events WHERE {_OWN}",
        "occurred_at, event_id",
    )
},
    'purchases', {_rows("product_id, purchase_count, first_at, last_at", f"user_purchases WHERE {_OWN}", "product_id")},
    'purchase_lines', {
    _rows(
        "order_id, product_id, quantity, returned, occurred_at",
        f"purchase_lines WHERE {_OWN}",
        "occurred_at, event_id",
    )
},
    'refunds', {
    _rows("order_id, product_id, quantity, received_at, settled_at", f"refunds WHERE {_OWN}", "received_at, event_id")
},
    'preferences', {_rows("kind, key, score, as_of", f"user_preferences WHERE {_OWN}", "kind, key")},
    'price_band', {_rows("weight, log_sum, square_sum, as_of", f"user_price_bands WHERE {_OWN}", "as_of")},
    'segments', {
    _rows(
        "s.segment_id, g.name, s.joined_at",
        f"user_segments s JOIN segments g ON g.id = s.segment_id WHERE s.{_OWN}",
        "s.segment_id",
    )
},
    'searches', {_rows("query, searches, first_at, last_at", f"search_history WHERE {_OWN}", "last_at")},
    'cart', {
    _rows("product_id, quantity, price_when_added, added_at", f"cart_items WHERE {_OWN}", "added_at, product_id")
},
    'wishlist', {_rows("product_id, added_at", f"wishlist_items WHERE {_OWN}", "added_at, product_id")},
    'orders', (SELECT coalesce(json_agg({ORDER} ORDER BY o.created_at, o.id), '[]') FROM orders o WHERE o.{_OWN}),
    'logins', {_rows("issued_at, expires_at, used_at, revoked_at", f"refresh_tokens WHERE {_OWN}", "issued_at")},
    'account_links', {_rows("purpose, email, issued_at, expires_at", f"account_links WHERE {_OWN}", "issued_at")},
    'account_events', {_rows("at, action", "audit_log WHERE subject_user_id IN (SELECT id FROM person)", "at, id")},
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


def read_user_data(user_id: str) -> bytes | None:
    """Return everything stored about a user and the guests merged into them, as JSON; None if the user is unknown."""
    row = read_one(EXPORT, user_id=user_id)
    return None if row is None else str(row[0]).encode()
