"""Erasure: what is stored about a user is deleted or anonymized.

Events and orders stay, because the shop's figures include them, but without their owner: events move to a new user row
without a known id and lose their session and metadata. The audit log refers to users by row id, so it still says what
was done, but no longer by whom or to whom. Rows are found by columns that hold a user's id, never by substrings. A
digest of the erased id stays, so that an event still in transit does not bring the user back. A new table that holds a
user's id must be added here and to export.py: tests/integration/accounts/test_erasure.py searches every table.
"""

import secrets
from typing import Final

from shared.clients.postgres import Connection, execute, read, transaction
from shared.domain.identity import IdKind, kind_of
from shared.storage.people.login_failures import account_subject

# Prefix of the ids of rows that keep the events of erased users and hold nothing else.
ERASED_PREFIX: Final = "erased_"

# The user, and the guests merged into them.
PERSON: Final = """WITH person AS (
    SELECT id, external_id FROM users WHERE external_id = :user_id
    UNION ALL
    SELECT g.id, g.external_id FROM users u JOIN users g ON g.merged_into = u.id WHERE u.external_id = :user_id
)"""
IDS: Final = f"{PERSON} SELECT id, external_id FROM person"
# as LOCK of merging.py
LOCK: Final = "SELECT id FROM users WHERE id = ANY (:ids) ORDER BY id FOR NO KEY UPDATE"
ADD_ANONYMOUS_OWNER: Final = """
INSERT INTO users (external_id, created_at) VALUES (:external_id, date_trunc('day', now())) RETURNING id"""
ADD_DIGESTS: Final = """
INSERT INTO erased_users (digest)
SELECT sha256(convert_to(user_id, 'UTF8')) FROM unnest(cast(:user_ids AS text[])) AS user_id
ON CONFLICT DO NOTHING"""
ANONYMIZE_EVENTS: Final = """
UPDATE events SET user_id = :owner, session_id = NULL, metadata = NULL WHERE user_id = ANY (:ids)"""
ERASE: Final = (
    """WITH deleted AS (DELETE FROM recommendation_log WHERE user_id = ANY (:user_ids) RETURNING id)
    DELETE FROM recommendation_feedback WHERE recommendation_id IN (SELECT id FROM deleted)""",
    "DELETE FROM rejected_events WHERE event ->> 'user_id' = ANY (:user_ids)",
    "DELETE FROM outbox WHERE attributes ->> 'user_id' = ANY (:user_ids)",
    "DELETE FROM idempotency_keys WHERE owner = ANY (:user_ids)",
)
# Search texts that no other user searched for may identify the user. Texts shared by several users stay counted.
FORGET_SEARCHES: Final = """
DELETE FROM search_counts c
WHERE c.searches <= 1 AND c.query IN (SELECT query FROM search_history WHERE user_id = ANY (:ids))
  AND NOT EXISTS (SELECT FROM search_history h WHERE h.query = c.query AND NOT h.user_id = ANY (:ids))"""
DELETE_LOGIN_FAILURES: Final = "DELETE FROM login_failures WHERE account = :account OR subject = :account"
# Preferences, purchases, segment, searches, logins, cart and wishlist are deleted with the row. Orders stay, without an
# owner.
DELETE_USERS: Final = "DELETE FROM users WHERE id = ANY (:ids)"

# Users recreated by an event that was being stored while the erasure committed.
RETURNED: Final = """
SELECT external_id FROM users JOIN erased_users ON digest = sha256(convert_to(external_id, 'UTF8'))
WHERE starts_with(external_id, 'acct_') OR starts_with(external_id, 'guest_') LIMIT 1000"""


def erase(connection: Connection, user_id: str, email: str | None) -> list[str]:
    """Erase a user and the guests merged into them; return their ids, or an empty list if there is no such user.

    The caller drops the cached answers of these ids after the commit.
    """
    rows = execute(connection, IDS, {"user_id": user_id})
    if not rows:
        return []
    ids: list[int] = [row[0] for row in rows]
    user_ids: list[str] = [row[1] for row in rows]
    execute(connection, LOCK, {"ids": ids})
    external_id = f"{ERASED_PREFIX}{secrets.token_hex(16)}"
    owner = execute(connection, ADD_ANONYMOUS_OWNER, {"external_id": external_id})[0][0]
    # Ids of the shop's own are not blocked: if one appears again, it may be the same user or a different one.
    issued = [user_id for user_id in user_ids if kind_of(user_id) is not IdKind.OTHER]
    execute(connection, ADD_DIGESTS, {"user_ids": issued})
    execute(connection, ANONYMIZE_EVENTS, {"owner": owner, "ids": ids})
    for statement in ERASE:
        execute(connection, statement, {"user_ids": user_ids})
    if email is not None:
        execute(connection, DELETE_LOGIN_FAILURES, {"account": account_subject(email)})
    execute(connection, FORGET_SEARCHES, {"ids": ids})
    # Last, because the rows deleted by cascade are found through these.
    execute(connection, DELETE_USERS, {"ids": ids})
    return user_ids


def erase_returned() -> int:
    """Erase users whom an event brought back while they were being erased; return how many.

    The job ``retention`` calls this.
    """
    rows = read(RETURNED)
    for row in rows:
        with transaction(statement_timeout_s=0) as connection:
            erase(connection, row[0], None)
    return len(rows)
