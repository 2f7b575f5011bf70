"""Helpers that read an ASGI request's scope before the application does."""

import base64
import binascii
from typing import Final
from urllib.parse import unquote

from starlette.types import Scope

from shared import errors

MAX_QUERY_BYTES: Final = 8_192
MAX_QUERY_PARAMETERS: Final = 100
# Scope key set on HEAD requests, which the application answers as GET.
HEAD: Final = "aisle.head"


def basic_user(credentials: bytes) -> str:
    """Return the user name of ``Authorization: Basic``; if it cannot be decoded, a text that is not a key."""
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return "unreadable"


def is_head(scope: Scope) -> bool:
    """Return whether a request that the application sees as GET was a HEAD request."""
    return HEAD in scope


def without_slash(path: str) -> str:
    """Return the path without trailing slashes, as routes, costs and limits are declared."""
    return (path.rstrip("/") or "/") if path.endswith("/") else path


def header(scope: Scope, name: bytes) -> bytes:
    """Return the first header of this name; empty if there is none."""
    return next((value for key, value in scope["headers"] if key == name), b"")


def is_preflight(scope: Scope) -> bool:
    """Return whether an OPTIONS request is a CORS preflight."""
    return bool(header(scope, b"access-control-request-method") and header(scope, b"origin"))


def check_query(scope: Scope) -> None:
    """Raise InvalidRequest if the path or query is not valid text or has more parts than any function needs."""
    query: bytes = scope["query_string"]
    if len(query) > MAX_QUERY_BYTES or query.count(b"&") >= MAX_QUERY_PARAMETERS:
        raise errors.InvalidRequest(
            f"The query must have at most {MAX_QUERY_PARAMETERS} parameters and {MAX_QUERY_BYTES} bytes."
        )
    if b"\0" in query or "\0" in scope["path"] or b"%00" in query or not _is_text(query):
        raise errors.InvalidRequest("The query string is not text: remove NUL bytes and encode it as UTF-8.")


def _is_text(query: bytes) -> bool:
    if b"%" not in query:
        return query.isascii()
    try:
        unquote(query.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        return False
    return True
