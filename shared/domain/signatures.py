"""Webhook signatures: HMAC-SHA256 over the time and the body, to prevent tampering and later replay.

The header is ``t=<milliseconds since 1970>,v1=<hex>``; the signed content is the time, a full stop, and the body.
"""

import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

HEADER: Final = "X-Aisle-Signature"
# How far the sender's clock may deviate, and how long a captured request could be replayed.
WINDOW: Final = timedelta(minutes=5)
# Fourteen digits reach the year 5138, which Python's datetime can still represent.
_FORM: Final = re.compile(r"t=([0-9]{1,14}),v1=([0-9a-f]{64})")


class InvalidSignature(ValueError):
    """An invalid signature; ``str`` gives the reason and the remedy."""


def sign(body: bytes, key: bytes, at: datetime) -> str:
    """Return the header value for a body sent at the time ``at``."""
    return _header(body, key, round(at.timestamp() * 1000))


def _header(body: bytes, key: bytes, milliseconds: int) -> str:
    return f"t={milliseconds},v1={hmac.new(key, b'%d.' % milliseconds + body, sha256).hexdigest()}"


def signed_at(header: str, body: bytes, keys: Iterable[bytes], now: datetime) -> datetime:
    """Return when a body was signed. Raises InvalidSignature unless signed with one of the keys within WINDOW."""
    form = _FORM.fullmatch(header)
    if form is None:
        raise InvalidSignature(f"{HEADER}: send t=<milliseconds since 1970>,v1=<HMAC-SHA256 in hex>.")
    milliseconds = int(form[1])
    if not any(hmac.compare_digest(_header(body, key, milliseconds), header) for key in keys):
        raise InvalidSignature(
            f"{HEADER}: no key of WEBHOOK_KEYS yields this signature for this body; sign the body exactly as it is "
            "sent."
        )
    at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
    if abs(now - at) > WINDOW:
        raise InvalidSignature(
            f"{HEADER}: the time differs by more than {WINDOW.total_seconds() / 60:.0f} minutes from this clock. Sign "
            "each request when it is sent, and set the sender's clock."
        )
    return at
