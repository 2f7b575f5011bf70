"""Checks of request bodies before validation: size limit, media type and bounded content.

Validation creates an error for every unknown field, which costs far more than it costs the sender to send the field. So
the numbers of fields and values and the nesting depth are limited first.
"""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive

from shared.errors import BodyTooLarge, BodyTooSlow, InvalidRequest, MalformedBody, UnsupportedMediaType
from shared.gates import LARGE_BODIES

METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# Maximum number of fields of one object.
MAX_FIELDS: Final = 100
MAX_DEPTH: Final = 32
# Maximum number of values in the whole body, unless a path allows more.
MAX_VALUES: Final = 2_000
MAX_FORM_FIELDS: Final = 20
# Seconds within which a body must arrive: 1 MiB at 35 kB/s.
READ_S: Final = 30.0
# Bodies larger than this are parsed in a thread.
LARGE_BYTES: Final = 32_768
# Maximum number of gzip members in a body. Libraries send one; many empty members would cost far more than their bytes.
MAX_GZIP_MEMBERS: Final = 16
_GZIP: Final = 16 + zlib.MAX_WBITS


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return the body.

    Raises BodyTooLarge once it exceeds ``limit`` bytes, regardless of its headers, and BodyTooSlow if it does not
    arrive within READ_S: a client that sends a byte now and then must not occupy the instance.
    """
    try:
        async with asyncio.timeout(READ_S):
            return await _read_body(receive, limit)
    except TimeoutError:
        raise BodyTooSlow(
            f"The body must arrive within {READ_S:.0f} s; send a smaller one.", headers={"Connection": "close"}
        ) from None


async def _read_body(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLarge(f"The body must be at most {limit} bytes; send it in parts.")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts) if len(parts) > 1 else part


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that first yields the body already read, and then what the original ``receive`` yields."""
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def limited(receive: Receive, limit: int) -> Receive:
    """Return a ``receive`` that raises BodyTooLarge once the body is longer than ``limit`` bytes."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise BodyTooLarge(f"The body must be at most {limit} bytes; send it in parts.")
        return message

    return counted


def is_json(media_type: str) -> bool:
    """Return whether a Content-Type is JSON."""
    kind = media_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def is_form(media_type: str) -> bool:
    """Return whether a Content-Type is that of a URL-encoded HTML form."""
    return media_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"


def form_as_json(body: bytes) -> bytes:
    """Return the fields of an HTML form as a JSON object of strings. Raises MalformedBody."""
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError:
        raise MalformedBody("The body is not a valid form.") from None
    values = dict(fields)
    if len(values) < len(fields):
        raise MalformedBody("Each field of the form must be sent only once.")
    return orjson.dumps(values)


def is_gzip(headers: Mapping[str, str]) -> bool:
    """Return whether a body is gzip-compressed, according to its Content-Encoding."""
    return headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip")


async def unpacked(body: bytes, limit: int) -> bytes:
    """Return the decompressed content of a gzip body. Raises like ``unpack``."""
    if len(body) <= LARGE_BYTES:
        return unpack(body, limit)
    with LARGE_BODIES.admit():
        return await run_in_threadpool(unpack, body, limit)


def unpack(body: bytes, limit: int) -> bytes:
    """Return the decompressed content of a gzip body, never decompressing more than ``limit`` bytes.

    Raises BodyTooLarge beyond ``limit``, and MalformedBody for a body that is not gzip or is truncated.
    """
    parts: list[bytes] = []
    left, rest = limit + 1, body
    for _member in range(MAX_GZIP_MEMBERS):
        member = zlib.decompressobj(_GZIP)
        try:
            parts.append(member.decompress(rest, left))
        except zlib.error:
            raise MalformedBody(
                "Content-Encoding says gzip, but the body is not gzip; send it without Content-Encoding."
            ) from None
        left -= len(parts[-1])
        if left <= 0:
            raise BodyTooLarge(f"The body must be at most {limit} bytes when it is unpacked; send it in parts.")
        if not member.eof:
            raise MalformedBody("The gzip body is truncated; send it again.")
        rest = member.unused_data
        if not rest:
            return b"".join(parts)
    raise MalformedBody(f"The gzip body must have at most {MAX_GZIP_MEMBERS} parts; send it as one.")


def check_type(headers: Mapping[str, str], *, text_is_json: bool) -> None:
    """Raise UnsupportedMediaType unless the body is uncompressed JSON. ``text_is_json`` accepts ``text/plain`` too."""
    media_type = headers.get("content-type", "")
    is_text = text_is_json and media_type.partition(";")[0].strip().lower() in ("text/plain", "")
    if not is_json(media_type) and not is_text:
        raise UnsupportedMediaType("Send the body as JSON, with Content-Type: application/json.")
    if headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise UnsupportedMediaType("Send the body uncompressed, without Content-Encoding.")


async def check_content(body: bytes, max_values: int = MAX_VALUES) -> None:
    """Raise InvalidRequest beyond MAX_FIELDS, MAX_DEPTH or ``max_values``, and MalformedBody for anything but JSON."""
    if len(body) <= LARGE_BYTES:
        check_json(body, max_values)
        return
    with LARGE_BODIES.admit():
        await run_in_threadpool(check_json, body, max_values)


def check_json(body: bytes, max_values: int = MAX_VALUES) -> None:
    """Do the same as ``check_content``, synchronously."""
    # Each field has a colon; each value except the first of its list, a comma. Counting is much faster than parsing.
    opened = body.count(b"{") + body.count(b"[")
    if opened <= MAX_DEPTH and body.count(b":") <= MAX_FIELDS and body.count(b",") + opened < max_values:
        return
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"The body is not valid JSON: {error}.") from None
    check_values(value, max_values)


def check_values(value: Any, max_values: int = MAX_VALUES) -> None:
    """Raise InvalidRequest for a parsed body that exceeds the limits."""
    seen = 1
    level = [value]
    for _depth in range(MAX_DEPTH):
        inner: list[Any] = []
        for container in level:
            if isinstance(container, dict):
                if len(container) > MAX_FIELDS:
                    raise InvalidRequest(f"An object must have at most {MAX_FIELDS} fields.")
                members: Any = container.values()
            elif isinstance(container, list):
                members = container
            else:
                continue
            seen += len(container)
            if seen > max_values:
                raise InvalidRequest(f"The body must have at most {max_values} values.")
            inner += [member for member in members if isinstance(member, (dict, list))]
        if not inner:
            return
        level = inner
    raise InvalidRequest(f"The body must be nested at most {MAX_DEPTH} levels deep.")
