"""Responses from stored or computed JSON: entity tags, lifetimes and cacheability."""

import zlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

# Shared caches must not store it; the client may, but must revalidate.
NO_CACHE: Final = "private, no-cache"
# No cache may store it: the response is personal data, or changes with the user's next request.
NO_STORE: Final = "private, no-store"
# Cache-Status (RFC 9211) of a response from Redis, and of one computed because Redis had none.
CACHE_HIT: Final = "aisle; hit"
CACHE_MISS: Final = "aisle; fwd=miss"


def entity_tag(body: bytes) -> str:
    """Return the entity tag of a body. It is weak because the same body may be sent compressed."""
    return f'W/"{zlib.crc32(body):08x}{len(body):x}"'


def matches(header: str | None, tag: str) -> bool:
    """Return whether an If-None-Match header names this tag."""
    return header is not None and (header.strip() == "*" or tag in (part.strip() for part in header.split(",")))


def fresh(
    request: Request, body: bytes, *, max_age_s: int, public: bool = True, is_hit: bool | None = None
) -> Response:
    """Return JSON with its entity tag and lifetime, or 304 if the client already has this body.

    ``is_hit`` is whether the body comes from Redis; None if it is never stored there.
    """
    tag = entity_tag(body)
    headers = {"ETag": tag, "Cache-Control": f"public, max-age={max_age_s}" if public and max_age_s else NO_CACHE}
    if is_hit is not None:
        headers["Cache-Status"] = CACHE_HIT if is_hit else CACHE_MISS
    if matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def private(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None, *, cache_control: str = NO_STORE
) -> Response:
    """Return JSON that belongs to one user. ``cache_control`` is NO_STORE or NO_CACHE."""
    return Response(body, status, {"Cache-Control": cache_control, **(headers or {})}, "application/json")


def dump(value: Any) -> bytes:
    """Return compact JSON."""
    return orjson.dumps(value)
