"""Signatures of webhooks."""

import hmac
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from shared.domain.signatures import WINDOW, InvalidSignature, sign, signed_at

NOW = datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=UTC)
OLD, NEW = b"o" * 32, b"n" * 32
BODY = b'{"type":"product"}'


def test_the_signature_is_that_of_the_document() -> None:
    milliseconds = 1_772_366_400_123
    expected = hmac.new(NEW, f"{milliseconds}.".encode() + BODY, sha256).hexdigest()
    assert sign(BODY, NEW, NOW) == f"t={milliseconds},v1={expected}"


def test_any_of_the_keys_may_have_signed() -> None:
    for key in (OLD, NEW):
        assert signed_at(sign(BODY, key, NOW), BODY, (NEW, OLD), NOW) == NOW


@pytest.mark.parametrize("age", [WINDOW, -WINDOW, timedelta()])
def test_a_time_within_the_window_is_taken(age: timedelta) -> None:
    assert signed_at(sign(BODY, NEW, NOW - age), BODY, (NEW,), NOW) == NOW - age


@pytest.mark.parametrize("age", [WINDOW + timedelta(milliseconds=1), -WINDOW - timedelta(milliseconds=1)])
def test_a_time_outside_of_the_window_is_refused(age: timedelta) -> None:
    with pytest.raises(InvalidSignature, match="more than 5 minutes"):
        signed_at(sign(BODY, NEW, NOW - age), BODY, (NEW,), NOW)


@pytest.mark.parametrize("milliseconds", [10**14 - 1, 10**14, 10**15 - 1])
def test_a_time_far_beyond_the_calendar_is_refused(milliseconds: int) -> None:
    mac = hmac.new(NEW, b"%d." % milliseconds + BODY, sha256).hexdigest()
    with pytest.raises(InvalidSignature):
        signed_at(f"t={milliseconds},v1={mac}", BODY, (NEW,), NOW)


@pytest.mark.parametrize(
    ("header", "body", "keys"),
    [
        (sign(BODY, NEW, NOW), BODY + b" ", (NEW,)),
        (sign(BODY, NEW, NOW), BODY, (OLD,)),
        (sign(BODY, NEW, NOW), BODY, ()),
        (sign(BODY, NEW, NOW).replace("t=1772366400123", "t=1772366400124"), BODY, (NEW,)),
        (sign(BODY, NEW, NOW).replace("t=", "t=0"), BODY, (NEW,)),
        (sign(BODY, NEW, NOW).upper(), BODY, (NEW,)),
        (sign(BODY, NEW, NOW) + "0", BODY, (NEW,)),
        ("", BODY, (NEW,)),
    ],
)
def test_what_was_not_signed_so_is_refused(header: str, body: bytes, keys: tuple[bytes, ...]) -> None:
    with pytest.raises(InvalidSignature):
        signed_at(header, body, keys, NOW)
