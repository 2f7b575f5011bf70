"""Signed permits to upload one product's image, of one type and size, valid for a few minutes.

They are signed with a key of API_MAC_KEYS. The image store accepts the file once: shared/clients/image_store.py.
"""

import base64
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from typing import Final, cast

from shared.domain.images import TYPES, ContentType
from shared.errors import InvalidLink, LinkExpired, MissingSetting
from shared.settings import settings

LIFETIME_S: Final = 600
BROKEN: Final = (
    "The upload is incomplete or was altered. Create a new one with POST /products/{product_id}/image-upload."
)
_FORM: Final = re.compile(r"(?P<payload>[0-9a-z./]{1,120})\.(?P<mac>[A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class Upload:
    """A permitted upload: a product's image, of this type and size in bytes, under this name, until ``expires_at``.

    ``expires_at`` is in seconds since 1970.
    """

    product_id: int
    content_type: ContentType
    size: int
    name: str
    expires_at: int


def _mac(payload: str, key: bytes) -> str:
    # Domain separation: API keys and client hashes, made with the same key, do not have this prefix.
    mac = hmac.digest(key, f"image-upload:{payload}".encode(), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def create(product_id: int, content_type: ContentType, size: int, now: float | None = None) -> tuple[str, Upload]:
    """Return the token of a new upload, and what it permits. Raises MissingSetting without API_MAC_KEYS."""
    keys = settings().mac_keys
    if not keys:
        raise MissingSetting("Set the environment variable API_MAC_KEYS: signing an upload needs a key.")
    expires_at = int(time.time() if now is None else now) + LIFETIME_S
    upload = Upload(product_id, content_type, size, secrets.token_hex(16), expires_at)
    payload = f"{product_id}.{content_type}.{size}.{upload.name}.{expires_at}"
    return f"{payload}.{_mac(payload, keys[0])}", upload


def read(token: str, now: float | None = None) -> Upload:
    """Return the upload that a token permits. Raises InvalidLink for an altered token, LinkExpired for an old one."""
    form = _FORM.fullmatch(token)
    if form is None or not any(
        hmac.compare_digest(_mac(form["payload"], key), form["mac"]) for key in settings().mac_keys
    ):
        raise InvalidLink(BROKEN)
    product_id, content_type, size, name, expires_at = form["payload"].split(".")
    assert content_type in TYPES, "it was signed by this module"
    upload = Upload(int(product_id), cast("ContentType", content_type), int(size), name, int(expires_at))
    if (time.time() if now is None else now) >= upload.expires_at:
        raise LinkExpired("The upload has expired. Create a new one with POST /products/{product_id}/image-upload.")
    return upload
