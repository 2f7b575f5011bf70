"""Product images uploaded by staff: accepted file types and file names. No I/O.

SVG is not accepted, because it can contain scripts.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

ContentType = Literal["image/png", "image/jpeg", "image/webp"]
MAX_BYTES: Final = 5 << 20
# Number of leading bytes that identify a file's type.
HEAD_BYTES: Final = 12
NAME: Final = re.compile(r"[0-9a-f]{32}\.(png|jpg|webp)")


@dataclass(frozen=True)
class ImageType:
    """An image type: its file extension, and a test of a file's leading bytes."""

    ending: str
    begins: Callable[[bytes], bool]


TYPES: Final[dict[ContentType, ImageType]] = {
    # https://www.w3.org/TR/png-3/#3PNGsignature
    "image/png": ImageType("png", lambda head: head.startswith(b"\x89PNG\r\n\x1a\n")),
    # The start of the image and of its first segment: ITU-T T.81, annex B.
    "image/jpeg": ImageType("jpg", lambda head: head.startswith(b"\xff\xd8\xff")),
    # https://www.rfc-editor.org/rfc/rfc9649#section-2.4
    "image/webp": ImageType("webp", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP"),
}
BY_ENDING: Final[dict[str, ContentType]] = {kind.ending: content_type for content_type, kind in TYPES.items()}


def is_of_type(body: bytes, content_type: ContentType) -> bool:
    """Return whether a file has the signature of this type."""
    return TYPES[content_type].begins(body[:HEAD_BYTES])


def name_of(body: bytes, content_type: ContentType) -> str:
    """Return an image's name, which is derived from its content, so that caches may keep it forever."""
    return f"{sha256(body).hexdigest()[:32]}.{TYPES[content_type].ending}"


def content_type_of(name: str) -> ContentType | None:
    """Return the type of the image with this name; None if no image can have that name."""
    form = NAME.fullmatch(name)
    return None if form is None else BY_ENDING[form[1]]
