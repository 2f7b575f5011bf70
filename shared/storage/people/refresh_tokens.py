"""Refresh tokens: random, stored as digests, each used once. The tokens that follow from a login form a family.

Using a token is one UPDATE, which only one of several concurrent requests can win. A used token that is presented again
may be stolen, so its whole family is revoked.
"""

import hashlib
import secrets
from typing import Final
from uuid import uuid4

from shared.clients.postgres import Connection, execute, transaction, write
from shared.errors import InvalidToken, TokenReused
from shared.settings import settings

ADD: Final = """
INSERT INTO refresh_tokens (digest, user_id, family, expires_at)
VALUES (:digest, :user_id, cast(:family AS uuid), now() + make_interval(secs => cast(:lifetime_s AS float8)))"""
USE: Final = """
UPDATE refresh_tokens SET used_at = now()
WHERE digest = :digest AND used_at IS NULL AND revoked_at IS NULL AND expires_at > now()
RETURNING user_id, family"""
CHECK_REUSE: Final = """
SELECT family, used_at IS NOT NULL AND revoked_at IS NULL FROM refresh_tokens WHERE digest = :digest"""
REVOKE_FAMILY: Final = """
UPDATE refresh_tokens SET revoked_at = now() WHERE family = cast(:family AS uuid) AND revoked_at IS NULL"""
REVOKE_FAMILY_OF: Final = """
UPDATE refresh_tokens SET revoked_at = now()
WHERE family = (SELECT family FROM refresh_tokens WHERE digest = :digest) AND revoked_at IS NULL"""
REVOKE_ALL: Final = "UPDATE refresh_tokens SET revoked_at = now() WHERE user_id = :user_id AND revoked_at IS NULL"
USER: Final = "SELECT external_id, CASE WHEN is_anonymous THEN 'guest' ELSE role END FROM users WHERE id = :user_id"


def digest(token: str) -> bytes:
    """Return the digest that identifies a token. The token is random, so it needs neither a salt nor a slow hash."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def issue(connection: Connection, user_id: int, family: str | None = None) -> str:
    """Add and return a token for a user (the row's id), in ``family`` or, by default, in a new family."""
    token = secrets.token_urlsafe(32)
    values = {"digest": digest(token), "user_id": user_id, "family": family or str(uuid4())}
    execute(connection, ADD, values | {"lifetime_s": settings().refresh_token_s})
    return token


def rotate(token: str) -> tuple[str, str, str]:
    """Use a token; return the next token of its family, the user's public id and their role.

    Raises TokenReused, and revokes the family, if the token was used before; InvalidToken if it is unknown, revoked or
    expired.
    """
    token_digest = digest(token)
    with transaction() as connection:
        used = execute(connection, USE, {"digest": token_digest})
        if used:
            next_token = issue(connection, used[0][0], str(used[0][1]))
            user = execute(connection, USER, {"user_id": used[0][0]})[0]
            return next_token, user[0], user[1]
        rows = execute(connection, CHECK_REUSE, {"digest": token_digest})
        reused = bool(rows and rows[0][1])
        if reused:
            execute(connection, REVOKE_FAMILY, {"family": str(rows[0][0])})
    if reused:
        raise TokenReused(
            "This refresh token was used before, so every token that followed from it was revoked; log in again."
        )
    raise InvalidToken("The refresh token is unknown, revoked or expired; log in again.")


def revoke(token: str) -> None:
    """Revoke the family of a token. An unknown token is ignored."""
    write(REVOKE_FAMILY_OF, digest=digest(token))


def revoke_all(connection: Connection, user_id: int) -> None:
    """Revoke every token of a user (the row's id)."""
    execute(connection, REVOKE_ALL, {"user_id": user_id})
