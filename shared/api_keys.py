"""API keys, ``pk_<id>_<secret>_<mac>`` or ``sk_…``: publishable ones name a client, secret ones act for any user.

The MAC, under a key of API_MAC_KEYS, proves that a key was issued here, so that a request needs no lookup. Revocations
are read separately, in the background (``shared/http/revocations.py``).
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from shared.clients import closed_on_reset
from shared.errors import MissingSetting
from shared.settings import settings

KEY_CHALLENGE: Final = {"WWW-Authenticate": 'ApiKey realm="aisle"'}
Kind = Literal["publishable", "secret"]
PREFIXES: Final[dict[Kind, str]] = {"publishable": "pk", "secret": "sk"}
KINDS: Final[dict[str, Kind]] = {prefix: kind for kind, prefix in PREFIXES.items()}
# 48 random bits identify a key; 128 random bits and a 128-bit MAC make it unguessable.
_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 16
_MAC_CHARACTERS: Final = 32
QUERY_NAMES: Final = (b"key=", b"api_secret=")
_FORM: Final = re.compile(r"(pk|sk)_([0-9a-f]{12})_[0-9a-f]{32}_[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key with a valid MAC. It may have been revoked."""

    id: str
    kind: Kind


def _mac(unsigned: str, key: bytes) -> str:
    return hmac.new(key, unsigned.encode(), hashlib.sha256).hexdigest()[:_MAC_CHARACTERS]


def create(kind: Kind) -> tuple[str, str]:
    """Return the id and the text of a new key. Raises MissingSetting without API_MAC_KEYS."""
    keys = settings().mac_keys
    if not keys:
        raise MissingSetting("Set the environment variable API_MAC_KEYS: creating an API key needs a signing key.")
    key_id = secrets.token_hex(_ID_BYTES)
    unsigned = f"{PREFIXES[kind]}_{key_id}_{secrets.token_hex(_SECRET_BYTES)}"
    return key_id, f"{unsigned}_{_mac(unsigned, keys[0])}"


@lru_cache(maxsize=1024)
def verify(text: str) -> ApiKey | None:
    """Parse a key; return None if it was not issued here. Does no I/O."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    unsigned, _, mac = text.rpartition("_")
    if not any(hmac.compare_digest(_mac(unsigned, key), mac) for key in settings().mac_keys):
        return None
    return ApiKey(form[2], KINDS[form[1]])


def take_from_query(query: bytes) -> tuple[bytes, list[str]]:
    """Return the query string without its parameters ``key`` and ``api_secret`` (as GA4 calls it), and their values."""
    kept, keys = [], []
    for part in query.split(b"&"):
        if part.startswith(QUERY_NAMES):
            keys.append(part.partition(b"=")[2].decode("latin-1"))
        else:
            kept.append(part)
    return b"&".join(kept), keys


@closed_on_reset
def close() -> None:
    """Forget the verified keys, because the settings may have changed."""
    verify.cache_clear()
