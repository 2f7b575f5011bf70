"""Access tokens: short-lived JWTs, signed with the first of TOKEN_KEYS, accepted from any of them by their `kid`.

PyJWT is imported with the first token: what is asked without one does not pay for it.
"""

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import uuid4

from shared.clients import closed_on_reset
from shared.errors import InvalidToken, MissingSetting, TokenExpired
from shared.settings import settings

ISSUER: Final = "aisle"
MAX_CHARACTERS: Final = 2048
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="aisle", error="invalid_token"'}
_NOT_VALID: Final = "The access token is not one of ours, or was changed; log in again."


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says: who, as what, until when (seconds since 1970)."""

    user_id: str
    role: str
    expires_at: float


def issue(user_id: str, role: str) -> str:
    """Return a new access token. Raises MissingSetting without TOKEN_KEYS."""
    import jwt

    config = settings()
    keys = config.keys_by_id
    if not keys:
        raise MissingSetting("Set the environment variable TOKEN_KEYS: without a key no token can be signed.")
    key_id, secret = next(iter(keys.items()))
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "sub": user_id,
        "role": role,
        "type": "access",
        "iat": now,
        "exp": now + config.access_token_s,
        "jti": uuid4().hex,
    }
    return jwt.encode(claims, secret, config.token_algorithm, headers={"kid": key_id})


def verify(token: str) -> Claims:
    """Return what a token of ours says. Raises InvalidToken and TokenExpired."""
    claims = _signed(token)
    if claims.expires_at <= time.time():
        raise TokenExpired("The access token has expired; get a new one at POST /auth/refresh.", headers=CHALLENGE)
    return claims


# the same bytes are signed by the same key or not, however often they come; only time changes, and is looked at above
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
        found = jwt.decode(
            token,
            secret,
            # never what the token itself asks for
            algorithms=[config.token_algorithm],
            issuer=ISSUER,
            options={
                "require": ["iss", "sub", "role", "iat", "exp", "jti", "type"],
                "verify_exp": False,
                "verify_iat": False,
            },
        )
        user_id, role, expires_at = found["sub"], found["role"], float(found["exp"])
    except (jwt.PyJWTError, ValueError, TypeError):
        raise InvalidToken(_NOT_VALID, headers=CHALLENGE) from None
    if found["type"] != "access" or not isinstance(user_id, str) or not isinstance(role, str):
        raise InvalidToken(_NOT_VALID, headers=CHALLENGE)
    return Claims(user_id, role, expires_at)


@closed_on_reset
def close() -> None:
    """Forget which tokens were found valid: the keys may be others now."""
    _signed.cache_clear()
