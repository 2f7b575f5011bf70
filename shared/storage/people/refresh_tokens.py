"""Sessions: single-use random refresh tokens, stored as digests. All tokens that descend from a login form a family.

Every function here that writes locks the user's row first, which serializes all changes to a user's sessions: after a
password change, no token issued by a concurrent refresh, login or logout remains valid.

A used token that is presented again may have been stolen, so its family is revoked. Within REPEAT_S seconds, however,
the client may simply have lost the response, or two tabs may have refreshed at once; then the same successor is
returned again, unless it has already been used. Because only digests are stored, the successor is derived from the used
token and a random key; the key is deleted when the successor is used.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Final, NamedTuple
from uuid import uuid4

from shared.clients.postgres import Connection, execute, read_one, transaction
from shared.errors import InvalidToken, TokenReused
from shared.settings import settings
from shared.storage.operations import audit

# Seconds after which a login expires, however often it was refreshed.
SESSION_S: Final = 30 * 86_400
# Seconds for which a used token still returns its successor.
REPEAT_S: Final = 10

FIND: Final = "SELECT user_id FROM refresh_tokens WHERE digest = :digest"
LOCK_USER: Final = """
SELECT external_id, CASE WHEN is_anonymous THEN 'guest' ELSE role END, session_epoch
FROM users WHERE id = :user_id FOR NO KEY UPDATE"""
ADD: Final = """
INSERT INTO refresh_tokens (digest, user_id, family, started_at, issued_at, expires_at)
SELECT :digest, :user_id, cast(:family AS uuid), started_at, at,
       least(at + make_interval(secs => cast(:lifetime_s AS float8)),
             started_at + make_interval(secs => cast(:session_s AS float8)))
FROM (SELECT clock_timestamp() AS at, coalesce(cast(:started_at AS timestamptz), clock_timestamp()) AS started_at)"""
USE: Final = """
UPDATE refresh_tokens SET used_at = clock_timestamp(), successor_key = :successor_key
WHERE digest = :digest AND used_at IS NULL AND revoked_at IS NULL AND expires_at > clock_timestamp()
RETURNING family, started_at"""
FORGET_SUCCESSORS: Final = """
UPDATE refresh_tokens SET successor_key = NULL
WHERE family = cast(:family AS uuid) AND successor_key IS NOT NULL AND digest <> :digest"""
GET_USED: Final = """
SELECT family, successor_key, used_at > clock_timestamp() - make_interval(secs => cast(:repeat_s AS float8))
FROM refresh_tokens WHERE digest = :digest AND used_at IS NOT NULL AND revoked_at IS NULL"""
IS_UNUSED: Final = """
SELECT 1 FROM refresh_tokens
WHERE digest = :digest AND used_at IS NULL AND revoked_at IS NULL AND expires_at > clock_timestamp()"""
REVOKE_FAMILY: Final = """
UPDATE refresh_tokens SET revoked_at = clock_timestamp() WHERE family = cast(:family AS uuid) AND revoked_at IS NULL"""
REVOKE_FAMILY_OF: Final = """
UPDATE refresh_tokens SET revoked_at = clock_timestamp()
WHERE family = (SELECT family FROM refresh_tokens WHERE digest = :digest) AND revoked_at IS NULL"""
REVOKE_ALL: Final = (
    "UPDATE users SET session_epoch = session_epoch + 1 WHERE id = :user_id",
    "UPDATE refresh_tokens SET revoked_at = clock_timestamp() WHERE user_id = :user_id AND revoked_at IS NULL",
)
GET_STATE: Final = """
SELECT CASE WHEN is_anonymous THEN 'guest' ELSE role END, session_epoch,
       EXISTS (SELECT FROM refresh_tokens
               WHERE family = cast(:session AS uuid) AND user_id = users.id AND revoked_at IS NOT NULL)
FROM users WHERE external_id = :user_id"""
NOT_VALID: Final = "The refresh token is unknown, revoked or expired; log in again."


class Session(NamedTuple):
    """A session and its current refresh token; ``session_id`` is the token's family."""

    user_id: str
    role: str
    epoch: int
    session_id: str
    refresh_token: str


def digest(token: str) -> bytes:
    """Return the digest that identifies a token. The token is random, so it needs neither a salt nor a slow hash."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _successor(token: str, key: bytes) -> str:
    derived = hmac.digest(key, token.encode("utf-8", "replace"), "sha256")
    return base64.urlsafe_b64encode(derived).rstrip(b"=").decode()


def _add(connection: Connection, token: str, user_id: int, family: str, started_at: object = None) -> None:
    values = {"digest": digest(token), "user_id": user_id, "family": family, "started_at": started_at}
    execute(connection, ADD, values | {"lifetime_s": settings().refresh_token_s, "session_s": SESSION_S})


def _lock_user(connection: Connection, user_id: int) -> tuple[str, str, int]:
    """Lock a user's row; return their public id, role and epoch. Raises InvalidToken if they were erased."""
    rows = execute(connection, LOCK_USER, {"user_id": user_id})
    if not rows:
        raise InvalidToken(NOT_VALID)
    return rows[0][0], rows[0][1], rows[0][2]


def begin(connection: Connection, user_id: int) -> Session:
    """Begin a session for a user, given by row id, inside the caller's transaction."""
    external_id, role, epoch = _lock_user(connection, user_id)
    token, family = secrets.token_urlsafe(32), str(uuid4())
    _add(connection, token, user_id, family)
    return Session(external_id, role, epoch, family, token)


def rotate(token: str) -> Session:
    """Use a token; return its session with the next token.

    A token that was used within the last REPEAT_S seconds returns the same next token again. Raises TokenReused and
    revokes the family if it was used earlier than that; raises InvalidToken if it is unknown, revoked or expired.
    """
    token_digest = digest(token)
    with transaction() as connection:
        found = execute(connection, FIND, {"digest": token_digest})
        if not found:
            raise InvalidToken(NOT_VALID)
        row_id = found[0][0]
        external_id, role, epoch = _lock_user(connection, row_id)
        key = secrets.token_bytes(32)
        used = execute(connection, USE, {"digest": token_digest, "successor_key": key})
        if used:
            family, started_at = str(used[0][0]), used[0][1]
            next_token = _successor(token, key)
            _add(connection, next_token, row_id, family, started_at)
            execute(connection, FORGET_SUCCESSORS, {"family": family, "digest": token_digest})
            return Session(external_id, role, epoch, family, next_token)
        rows = execute(connection, GET_USED, {"digest": token_digest, "repeat_s": REPEAT_S})
        if not rows:
            raise InvalidToken(NOT_VALID)
        family, stored_key, recent = str(rows[0][0]), rows[0][1], rows[0][2]
        if recent and stored_key is not None:
            next_token = _successor(token, bytes(stored_key))
            if execute(connection, IS_UNUSED, {"digest": digest(next_token)}):
                return Session(external_id, role, epoch, family, next_token)
        execute(connection, REVOKE_FAMILY, {"family": family})
        audit.record(connection, audit.ANONYMOUS, "token.reuse", f"user:{external_id}")
    raise TokenReused(
        "This refresh token was used before, so every token that followed from it was revoked; log in again."
    )


def revoke(token: str) -> None:
    """End the session of a token. An unknown token is ignored."""
    token_digest = digest(token)
    with transaction() as connection:
        found = execute(connection, FIND, {"digest": token_digest})
        if found and execute(connection, LOCK_USER, {"user_id": found[0][0]}):
            execute(connection, REVOKE_FAMILY_OF, {"digest": token_digest})


def revoke_all(connection: Connection, user_id: int) -> None:
    """End all sessions of a user, given by row id, whose row the caller has locked.

    Their access tokens are rejected at once where ``require_session`` is called, and elsewhere once they expire.
    """
    for statement in REVOKE_ALL:
        execute(connection, statement, {"user_id": user_id})


def require_session(user_id: str, role: str, epoch: int, session_id: str | None) -> None:
    """Raise InvalidToken if the session of an access token has ended, or its user was erased or changed role.

    ``session_id`` is None in tokens issued before sessions had ids; then only the epoch and role are compared.
    """
    row = read_one(GET_STATE, user_id=user_id, session=session_id)
    if row is None:
        raise InvalidToken("The user of this token no longer exists; register or log in again.")
    if row[2] or row[1] != epoch:
        raise InvalidToken("The session of this access token has ended; log in again.")
    if row[0] != role:
        raise InvalidToken("The role of this user has changed; get a new access token at POST /auth/refresh.")
