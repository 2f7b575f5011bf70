"""Identity tokens: the shop's own OpenID Connect tokens (RS256, ES256), accepted from IDENTITY_ISSUERS.

An issuer's keys (JWKS) are fetched when a token first needs them, and again every hour or for an unknown key id, but at
most once every COOLDOWN_S. Fetching blocks: ``verify`` does it only if permitted, and the hot path never does.
"""

import json
import math
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from shared.clients import closed_on_reset
from shared.domain.events import UserId
from shared.domain.identity import IdKind, kind_of
from shared.errors import InvalidToken, TokenExpired, Unavailable
from shared.settings import IdentityIssuer, settings
from shared.tokens import CHALLENGE, MAX_CHARACTERS, Claims

ALGORITHMS: Final = ("RS256", "ES256")
KEYS_S: Final = 3600.0
# Seconds for which keys stay valid if they cannot be refetched, so that an overnight outage of the issuer locks nobody
# out.
STALE_KEYS_S: Final = 86_400.0
COOLDOWN_S: Final = 30.0
TIMEOUT_S: Final = 3.0
MAX_JWKS_BYTES: Final = 262_144
_NOT_VALID: Final = "The identity token is not valid for this shop: issuer, audience, algorithm or signature is wrong."
_user_id: TypeAdapter[str] = TypeAdapter(UserId)


class IssuerKeysUnknown(Unavailable):
    """The issuer's keys have not been fetched yet, or cannot be fetched now."""


@dataclass
class _Keys:
    """An issuer's public keys by id; times in seconds of the monotonic clock."""

    by_id: dict[str, Any] = field(default_factory=dict)
    read_at: float = float("-inf")
    tried_at: float = float("-inf")
    generation: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


_keys: dict[str, _Keys] = {}


def issuer_of(token: str) -> IdentityIssuer | None:
    """Return the configured issuer named in a token, before any verification; None for any other token."""
    issuers = settings().identity_issuers
    if not issuers:
        return None
    name = _named_issuer(token)
    return next((issuer for issuer in issuers if issuer.issuer == name), None)


def verify(token: str, issuer: IdentityIssuer, *, may_read_keys: bool) -> Claims:
    """Return the user of an identity token: its subject, one of the shop's own ids.

    Raises InvalidToken, TokenExpired, and IssuerKeysUnknown if the issuer's keys are needed but cannot be fetched, or
    must not be because ``may_read_keys`` is False.
    """
    key_id = _key_id(token)
    keys = _keys.setdefault(issuer.issuer, _Keys())
    now = time.monotonic()
    if _is_due(keys, key_id, now):
        if not may_read_keys:
            raise IssuerKeysUnknown("The keys of the token's issuer have not been read yet; try again in a moment.")
        with keys.lock:
            if _is_due(keys, key_id, time.monotonic()):
                _read_keys(keys, issuer)
    if time.monotonic() - keys.read_at > STALE_KEYS_S:
        raise IssuerKeysUnknown("The keys of the token's issuer cannot be read; try again in a moment.")
    if key_id not in keys.by_id:
        raise InvalidToken(_NOT_VALID, headers=CHALLENGE)
    claims = _signed(token, issuer, keys.generation)
    if claims.expires_at <= time.time():
        raise TokenExpired("The identity token has expired; get a new one from its issuer.", headers=CHALLENGE)
    return claims


def _is_due(keys: _Keys, key_id: str, now: float) -> bool:
    """Return whether the keys must be fetched before a token with this key id can be verified."""
    is_needed = key_id not in keys.by_id or now - keys.read_at > KEYS_S
    return is_needed and now - keys.tried_at > COOLDOWN_S


def _read_keys(keys: _Keys, issuer: IdentityIssuer) -> None:
    """Fetch an issuer's keys; if that fails, the known ones stay in use."""
    # Imported on the first identity token, so that a cold start does not pay for it.
    import urllib.request

    import jwt

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        """Refuses redirects, so that the keys come only from the configured address."""

        def redirect_request(self, *_arguments: Any) -> None:
            return None

    keys.tried_at = time.monotonic()
    try:
        # https, or http in a local system: the setting's rule (shared/settings.py)
        with urllib.request.build_opener(NoRedirect).open(issuer.jwks_url, timeout=TIMEOUT_S) as answer:
            document = json.loads(answer.read(MAX_JWKS_BYTES))
        by_id = {
            key.key_id: key.key
            for key in jwt.PyJWKSet.from_dict(document).keys
            # Encryption keys do not verify signatures (RFC 7517, section 4.2).
            if key.key_id is not None and key.key_type in ("RSA", "EC") and key.public_key_use in (None, "sig")
        }
    except (OSError, ValueError, AttributeError, TypeError, RecursionError, jwt.PyJWTError):
        return
    keys.by_id, keys.read_at = by_id, time.monotonic()
    keys.generation += 1


@lru_cache(maxsize=4096)
def _named_issuer(token: str) -> str | None:
    import jwt

    if len(token) > MAX_CHARACTERS:
        return None
    try:
        name = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except (jwt.PyJWTError, ValueError):
        return None
    return name if isinstance(name, str) else None


def _key_id(token: str) -> str:
    import jwt

    try:
        key_id = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        key_id = None
    if not isinstance(key_id, str):
        raise InvalidToken(_NOT_VALID, headers=CHALLENGE)
    return key_id


# Cached, because the result for the same bytes stays the same as long as the issuer's keys (``generation``) do;
# ``verify`` checks the time.
@lru_cache(maxsize=4096)
def _signed(token: str, issuer: IdentityIssuer, generation: int) -> Claims:  # noqa: ARG001 — part of the cache's key
    import jwt

    try:
        claims = jwt.decode(
            token,
            _keys[issuer.issuer].by_id[_key_id(token)],
            # Never the algorithm that the token itself names: a public key must not be used as an HMAC secret.
            algorithms=list(ALGORITHMS),
            issuer=issuer.issuer,
            audience=list(issuer.audience),
            options={"require": ["iss", "sub", "aud", "exp"], "verify_exp": False, "verify_iat": False},
        )
        user_id, expires_at = _user_id.validate_python(claims["sub"], strict=True), float(claims["exp"])
    except (jwt.PyJWTError, ValidationError, ValueError, TypeError, KeyError):
        raise InvalidToken(_NOT_VALID, headers=CHALLENGE) from None
    # Python's JSON parser accepts NaN and Infinity, which are never in the past.
    if not math.isfinite(expires_at):
        raise InvalidToken(_NOT_VALID, headers=CHALLENGE)
    if kind_of(user_id) is not IdKind.OTHER:
        raise InvalidToken("The subject of an identity token must be the shop's own id of a user.", headers=CHALLENGE)
    return Claims(user_id, "guest", expires_at)


@closed_on_reset
def close() -> None:
    """Forget keys and checked signatures: the settings may have changed."""
    _keys.clear()
    _named_issuer.cache_clear()
    _signed.cache_clear()
