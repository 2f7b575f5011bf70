"""Refresh tokens: random, kept as digests, each used once. Those that follow from one login are a family.

Using a token is one UPDATE that only one of several requests at once can win; whoever comes later has a used token,
which only a thief or the thief's victim can have: the whole family ends.
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
VALUES (:digest, :user_id, cast(:family AS uuid), now() + make_interval(secs => cast(:lives_s AS float8)))"""
USE: Final = """
UPDATE refresh_tokens SET used_at = now()
WHERE digest = :digest AND used_at IS NULL AND revoked_at IS NULL AND expires_at > now()
RETURNING user_id, family"""
LOOK: Final = """
SELECT family, used_at IS NOT NULL AND revoked_at IS NULL FROM refresh_tokens WHERE digest = :digest"""
REVOKE_FAMILY: Final = """
UPDATE refresh_tokens SET revoked_at = now() WHERE family = cast(:family AS uuid) AND revoked_at IS NULL"""
REVOKE_FAMILY_OF: Final = """
UPDATE refresh_tokens SET revoked_at = now()
WHERE family = (SELECT family FROM refresh_tokens WHERE digest = :digest) AND revoked_at IS NULL"""
REVOKE_ALL: Final = "UPDATE refresh_tokens SET revoked_at = now() WHERE user_id = :user_id AND revoked_at IS NULL"
USER: Final = "SELECT external_id, CASE WHEN is_anonymous THEN 'guest' ELSE role END FROM users WHERE id = :user_id"


def digest(token: str) -> bytes:
    """Return by what a token is known. It is random as a whole: no salt, no slow hash is needed."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def issue(connection: Connection, user_id: int, family: str | None = None) -> str:
    """Return a new token of a user (the row's id): of a new family unless one is named."""
    token = secrets.token_urlsafe(32)
    values = {"digest": digest(token), "user_id": user_id, "family": family or str(uuid4())}
    execute(connection, ADD, values | {"lives_s": settings().refresh_token_s})
    return token


def rotate(token: str) -> tuple[str, str, str]:
    """Use a token up; returns the next one of its family, its user's public id and role.

    Raises TokenReused, and ends the family, when it was used before; InvalidToken when it is not known, revoked or
    past its time.
    """
    known = digest(token)
    with transaction() as connection:
        used = execute(connection, USE, {"digest": known})
        if used:
            following = issue(connection, used[0][0], str(used[0][1]))
            user = execute(connection, USER, {"user_id": used[0][0]})[0]
            return following, user[0], user[1]
        seen = execute(connection, LOOK, {"digest": known})
        reused = bool(seen and seen[0][1])
        if reused:
            execute(connection, REVOKE_FAMILY, {"family": str(seen[0][0])})
    if reused:
        raise TokenReused("This refresh token was used before, so all that followed from it ended; log in again.")
    raise InvalidToken("The refresh token is not valid any more; log in again.")


def revoke(token: str) -> None:
    """End the family of a token; one that is not known is none."""
    write(REVOKE_FAMILY_OF, digest=digest(token))


def revoke_all(connection: Connection, user_id: int) -> None:
    """End every login of a user (the row's id)."""
    execute(connection, REVOKE_ALL, {"user_id": user_id})
