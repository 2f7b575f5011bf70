"""Emailed links to an account's pages. Only digests of their tokens are stored; a used link is deleted.

A link becomes invalid when it is used, expires or is replaced by a newer one, and when the account's email address
changes. A link that sets a password also becomes invalid when the account's sessions are ended, as every password
change does. Issuing and using a link lock the user's row first, like everything that changes a user's sessions, so that
of two concurrent requests with one link only one succeeds.
"""

from typing import Final

from shared.account_links import LIFETIME_S, Purpose, address, check, create, digest
from shared.clients.postgres import Connection, execute, read_one
from shared.errors import LinkExpired
from shared.storage.people import accounts
from shared.storage.people.accounts import User

ISSUE: Final = """
INSERT INTO account_links AS l (digest, user_id, purpose, email, session_epoch, issued_at, expires_at)
SELECT :digest, id, :purpose, email, session_epoch, at, at + make_interval(secs => cast(:lifetime_s AS float8))
FROM users, clock_timestamp() AS at WHERE id = :user_id
ON CONFLICT (user_id, purpose) DO UPDATE SET digest = EXCLUDED.digest, email = EXCLUDED.email,
    session_epoch = EXCLUDED.session_epoch, issued_at = EXCLUDED.issued_at, expires_at = EXCLUDED.expires_at"""
_IS_VALID: Final = """l.digest = :digest AND l.purpose = :purpose AND u.id = l.user_id
    AND l.expires_at > clock_timestamp() AND lower(u.email) = lower(l.email)
    AND (l.purpose = 'verify_email' OR l.session_epoch = u.session_epoch)"""
FIND: Final = f"SELECT u.external_id FROM account_links l, users u WHERE {_IS_VALID}"
END_ALL: Final = "DELETE FROM account_links WHERE user_id = :user_id"
USE: Final = f"DELETE FROM account_links l USING users u WHERE {_IS_VALID} RETURNING 1"
ENDED: Final = "The link was used, has expired, or was replaced by a newer one. Request a new one."


def issue(connection: Connection, user: User, purpose: Purpose) -> str:
    """Issue a link for an account locked by the caller, replacing any earlier one; return its URL.

    Raises MissingSetting if TOKEN_KEYS or PUBLIC_URL is not set.
    """
    token = create(purpose)
    url = address(purpose, token)
    values = {"digest": digest(token), "user_id": user.id, "purpose": purpose, "lifetime_s": LIFETIME_S[purpose]}
    execute(connection, ISSUE, values)
    return url


def find(token: str, *purposes: Purpose) -> str:
    """Return the id of the account that a link is for, without using the link. Raises InvalidLink, LinkExpired."""
    row = read_one(FIND, digest=digest(token), purpose=check(token, *purposes))
    if row is None:
        raise LinkExpired(ENDED)
    return str(row[0])


def use(connection: Connection, token: str, *purposes: Purpose) -> tuple[User, Purpose]:
    """Consume a link; return its account, locked, and its purpose. Raises InvalidLink, LinkExpired.

    If the caller's transaction is rolled back, the link stays valid.
    """
    purpose = check(token, *purposes)
    values = {"digest": digest(token), "purpose": purpose}
    rows = execute(connection, FIND, values)
    user = accounts.lock(connection, rows[0][0]) if rows else None
    if user is None or not execute(connection, USE, values):
        raise LinkExpired(ENDED)
    return user, purpose


def end_all(connection: Connection, user: User) -> None:
    """Invalidate all links of an account locked by the caller."""
    execute(connection, END_ALL, {"user_id": user.id})
