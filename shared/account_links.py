"""Links to an account's pages, mailed or handed over: each is random, signed for one purpose, and usable once.

The signature, made with a key of TOKEN_KEYS, allows forged links to be rejected without a lookup. The database knows
which links are still valid: shared/storage/people/account_links.py.
"""

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final, Literal
from urllib.parse import urlencode

from shared.errors import InvalidLink, MissingSetting
from shared.settings import settings

Purpose = Literal["verify_email", "reset_password", "set_password"]
# `reset_password` is sent to the account's email address, so using it verifies that address. `set_password` is handed
# over by somebody else and verifies nothing.
SETS_PASSWORD: Final[tuple[Purpose, ...]] = ("reset_password", "set_password")
LIFETIME_S: Final[dict[Purpose, int]] = {"verify_email": 86_400, "reset_password": 3_600, "set_password": 3_600}
# the pages of functions/accounts
PATHS: Final[dict[Purpose, str]] = {
    "verify_email": "/auth/verify-email",
    "reset_password": "/auth/set-password",
    "set_password": "/auth/set-password",
}
# The page where a link to reset the password can be requested.
REQUEST_PATH: Final = "/auth/password-reset"
BROKEN_LINK: Final = "The link is incomplete or was altered. Copy it completely from the message, or request a new one."
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{43}")
_RANDOM_BYTES: Final = 32


def _mac(purpose: Purpose, nonce: str, key: bytes) -> str:
    # Domain separation: the signed content of tokens that use the same key contains no colon.
    mac = hmac.digest(key, f"account-link:{purpose}:{nonce}".encode(), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def create(purpose: Purpose) -> str:
    """Return the token of a new link. Raises MissingSetting without TOKEN_KEYS."""
    keys = settings().keys_by_id
    if not keys:
        raise MissingSetting("Set the environment variable TOKEN_KEYS: signing a link needs a key.")
    nonce = secrets.token_urlsafe(_RANDOM_BYTES)
    return f"{nonce}.{_mac(purpose, nonce, next(iter(keys.values())))}"


def check(token: str, *purposes: Purpose) -> Purpose:
    """Return which of ``purposes`` a token was signed for. Raises InvalidLink if none. Does no I/O."""
    if _FORM.fullmatch(token):
        nonce, _, mac = token.partition(".")
        for purpose in purposes:
            if any(hmac.compare_digest(_mac(purpose, nonce, key), mac) for key in settings().keys_by_id.values()):
                return purpose
    raise InvalidLink(BROKEN_LINK)


def digest(token: str) -> bytes:
    """Return the digest that identifies a token. The token is random, so it needs neither a salt nor a slow hash."""
    return hashlib.sha256(token.encode()).digest()


def address(purpose: Purpose, token: str) -> str:
    """Return the URL of the page that accepts a token. Raises MissingSetting without PUBLIC_URL."""
    return f"{settings().require('public_url')}{PATHS[purpose]}?{urlencode({'token': token})}"
