"""Signatures of webhooks: HMAC-SHA256 over the time and the body, so that neither can be changed or used again later.

The header is ``t=<milliseconds since 1970>,v1=<hex>``; what is signed is the time, a full stop, and the body's bytes.
"""

import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

HEADER: Final = "X-Aisle-Signature"
# how far the sender's clock may differ, and how long a captured request could be sent again
WINDOW: Final = timedelta(minutes=5)
# fourteen digits end in the year 5138, before the last year that a time can have
_FORM: Final = re.compile(r"t=([0-9]{1,14}),v1=([0-9a-f]{64})")


class InvalidSignature(ValueError):
    """A signature that is not valid; ``str`` says why, and what to do."""


def sign(body: bytes, key: bytes, at: datetime) -> str:
    """Return the header's value for a body that is sent at a time."""
    return _header(body, key, round(at.timestamp() * 1000))


def _header(body: bytes, key: bytes, milliseconds: int) -> str:
    return f"t={milliseconds},v1={hmac.new(key, b'%d.' % milliseconds + body, sha256).hexdigest()}"


def signed_at(header: str, body: bytes, keys: Iterable[bytes], now: datetime) -> datetime:
    """Return when a body was signed. Raises InvalidSignature unless one of the keys signed it within the window."""
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
