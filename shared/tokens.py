"""Access tokens: short-lived JWTs, signed with the first of TOKEN_KEYS and verified with any of them, by `kid`.

PyJWT is imported on the first token, so that requests without a token do not pay for it.
"""

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID, uuid4

from shared.clients import closed_on_reset
from shared.errors import InvalidToken, MissingSetting, TokenExpired
from shared.settings import settings

ISSUER: Final = "aisle"
MAX_CHARACTERS: Final = 2048
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="aisle", error="invalid_token"'}
_NOT_VALID: Final = "The access token was not issued here or was altered; log in again."


@dataclass(frozen=True, slots=True)
class Claims:
    """The user and role of an access token; ``expires_at`` in seconds since 1970.

    ``epoch`` and ``session_id`` show whether its session has ended: shared/storage/people/refresh_tokens.py.
    """

    user_id: str
    role: str
    expires_at: float
    epoch: int = 0
    session_id: str | None = None


def issue(user_id: str, role: str, *, epoch: int = 0, session_id: str | None = None) -> str:
    """Return a new access token for a session. Raises MissingSetting without TOKEN_KEYS."""
    import jwt

    config = settings()
    keys = config.keys_by_id
    if not keys:
        raise MissingSetting("Set the environment variable TOKEN_KEYS: signing a token needs a key.")
    key_id, secret = next(iter(keys.items()))
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "sub": user_id,
        "role": role,
        "type": "access",
        "epoch": epoch,
        "iat": now,
        "exp": now + config.access_token_s,
        "jti": uuid4().hex,
    }
    if session_id is not None:
        claims["sid"] = session_id
    return jwt.encode(claims, secret, config.token_algorithm, headers={"kid": key_id})


def verify(token: str) -> Claims:
    """Return the claims of a token issued here. Raises InvalidToken and TokenExpired."""
    claims = _signed(token)
    if claims.expires_at <= time.time():
        raise TokenExpired("The access token has expired; get a new one at POST /auth/refresh.", headers=CHALLENGE)
    return claims


# The result of verifying the same bytes never changes, so it is cached; ``verify`` checks the time on every call.
@lru_cache(maxsize=4096)
def _signed(token: str) -> Claims:
    import jwt

    config = settings()
    if len(token) > MAX_CHARACTERS:
        raise InvalidToken(_NOT_VALID, headers=CHALLENGE)
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
        secret = config.keys_by_id.get(key_id) if isinstance(key_id, str) else None
        if secret is None:
            raise InvalidToken(_NOT_VALID, headers=CHALLENGE)
        claims = jwt.decode(
            token,
            secret,
            # never the algorithm that the token itself names
            algorithms=[config.token_algorithm],
            issuer=ISSUER,
            options={
                "require": ["iss", "sub", "role", "iat", "exp", "jti", "type"],
                "verify_exp": False,
                "verify_iat": False,
            },
        )
        user_id, role, expires_at = claims["sub"], claims["role"], float(claims["exp"])
        # the previous release issued tokens without these
        epoch, session_id = int(claims.get("epoch", 0)), claims.get("sid")
        session_id = None if session_id is None else str(UUID(session_id))
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        raise InvalidToken(_NOT_VALID, headers=CHALLENGE) from None
    if claims["type"] != "access" or not isinstance(user_id, str) or not isinstance(role, str):
        raise InvalidToken(_NOT_VALID, headers=CHALLENGE)
    return Claims(user_id, role, expires_at, epoch, session_id)


@closed_on_reset
def close() -> None:
    """Forget the checked signatures: the keys may have changed."""
    _signed.cache_clear()
