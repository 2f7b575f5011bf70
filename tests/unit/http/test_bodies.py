"""Bodies are bounded before they are validated: their fields, values and nesting."""

import asyncio
from contextlib import nullcontext
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BodyTooLarge, InvalidRequest, MalformedBody
from shared.http import bodies
from shared.http.bodies import MAX_DEPTH, MAX_FIELDS, MAX_VALUES, check_json


def nested(depth: int, *, kind: str) -> bytes:
    return b"[" * depth + b"]" * depth if kind == "list" else b'{"a":' * depth + b"1" + b"}" * depth


def fields(count: int) -> bytes:
    return orjson.dumps({f"f{number}": "a:b, {c}" for number in range(count)})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        fields(MAX_FIELDS),
        # separators inside texts are no fields and no values
        orjson.dumps({"text": "{[:," * 20_000}),
        orjson.dumps([{"a": 1, "b": 2}] * ((MAX_VALUES - 1) // 3)),
        orjson.dumps(list(range(MAX_VALUES - 1))),
        nested(MAX_DEPTH, kind="list"),
        nested(MAX_DEPTH, kind="object"),
        # what is not JSON but small is left to the application, which names the place of the fault
        b"{oops",
    ],
)
def test_a_body_within_the_bounds_passes(body: bytes) -> None:
    check_json(body)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (fields(MAX_FIELDS + 1), "at most 100 fields"),
        (orjson.dumps({"events": [{"a": 1}, {f"f{number}": 1 for number in range(101)}]}), "at most 100 fields"),
        (orjson.dumps(list(range(MAX_VALUES))), "at most 2000 values"),
        (orjson.dumps([{"a": 1}] * MAX_VALUES), "at most 2000 values"),
        (nested(MAX_DEPTH + 1, kind="list"), "at most 32 levels"),
        (nested(MAX_DEPTH + 1, kind="object"), "at most 32 levels"),
    ],
)
def test_a_body_beyond_the_bounds_is_refused(body: bytes, detail: str) -> None:
    with pytest.raises(InvalidRequest, match=detail):
        check_json(body)


@pytest.mark.parametrize(
    "body", [b"[" * 5_000, b"{" * 5_000, b"[" * 5_000 + b"]" * 5_000, b"[NaN" + b",1" * 5_000 + b"]"]
)
def test_a_long_body_that_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        check_json(body)


def receiver(*parts: bytes) -> Any:
    messages = [
        {"type": "http.request", "body": part, "more_body": number < len(parts) - 1}
        for number, part in enumerate(parts)
    ] + [{"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    return receive


def test_a_body_in_parts_is_read_whole_up_to_the_limit() -> None:
    assert asyncio.run(bodies.read_body(receiver(b"ab", b"", b"cd"), 4)) == b"abcd"
    with pytest.raises(BodyTooLarge, match="at most 3 bytes"):
        asyncio.run(bodies.read_body(receiver(b"ab", b"cd", b"x" * 100), 3))


def test_a_body_that_was_read_is_given_again_and_then_what_follows() -> None:
    async def run() -> list[Any]:
        again = bodies.replayed(b"abc", receiver())
        return [await again(), await again()]

    first, second = asyncio.run(run())
    assert first == {"type": "http.request", "body": b"abc", "more_body": False}
    assert second == {"type": "http.disconnect"}


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/merge-patch+json", True),
        ("text/json", False),
        ("application/jsonl", False),
        ("application/x-www-form-urlencoded", False),
        ("", False),
    ],
)
def test_what_counts_as_json(media_type: str, expected: bool) -> None:
    assert bodies.is_json(media_type) is expected


def test_a_form_is_an_object_of_texts() -> None:
    body = b"token=a.b-c_d&new_password=pl%C3%BCm+%26+rain%3D1&empty="
    assert orjson.loads(bodies.form_as_json(body)) == {"token": "a.b-c_d", "new_password": "plüm & rain=1", "empty": ""}


@pytest.mark.parametrize("fields", [20, 21])
def test_a_form_has_a_bounded_number_of_fields(fields: int) -> None:
    body = "&".join(f"f{number}=x" for number in range(fields)).encode()
    with nullcontext() if fields == 20 else pytest.raises(MalformedBody):
        bodies.form_as_json(body)


@pytest.mark.parametrize("body", [b"a=1&a=2", b"a", b"a=%ff", b"a=\xc3\xbc", b"&&", b"a=1&&b=2"])
def test_what_is_no_form_of_a_browser_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        bodies.form_as_json(body)


@given(st.binary(max_size=200) | st.text(alphabet="a=&%+;0fF", max_size=60).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_any_body_is_a_form_or_malformed(body: bytes) -> None:
    try:
        fields = orjson.loads(bodies.form_as_json(body))
    except MalformedBody:
        return
    assert all(isinstance(value, str) for value in fields.values())
