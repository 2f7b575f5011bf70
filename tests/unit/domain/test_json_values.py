"""What jsonb cannot hold is refused where it is sent, and escaped where it is kept for people to read."""

import json
from typing import Any

import orjson
import pytest

from shared.domain.json_values import MAX_DEPTH, escaped_json, escaped_text, storable_json


def nested(depth: int) -> Any:
    """Return a value of so many levels."""
    value: Any = "core"
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "value", [{"a": "x\0y"}, {"\0": 1}, ["\ud800"], {"a": [{"\udfff": 1}]}, [float("nan")], {"a": float("-inf")}]
)
def test_what_jsonb_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="must not contain"):
        storable_json(value)


def test_the_depth_is_limited() -> None:
    assert storable_json(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    for depth in (MAX_DEPTH + 1, 5000):
        with pytest.raises(ValueError, match=f"at most {MAX_DEPTH} levels"):
            storable_json(nested(depth))


@pytest.mark.parametrize("value", ["", "é\n\t\x7f", "\U0001f600", 0, -1.5, True, None, [], {"": {"a": [1, "b"]}}])
def test_what_jsonb_can_hold_stays(value: Any) -> None:
    assert storable_json(value) == value
    assert escaped_json(value) == value
    assert type(escaped_json(value)) is type(value)


def test_texts_are_escaped_visibly() -> None:
    assert escaped_text("a\0b\ud800c\udcffé") == "a\\0b\\ud800c\\udcffé"
    assert escaped_json({"k\0": ["\ud83d"]}) == {"k\\0": ["\\ud83d"]}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (2**64 - 1, 2**64 - 1),
        (2**64, str(2**64)),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (b"x\0", "b'x\\x00'"),
    ],
)
def test_numbers_and_other_values_that_json_has_not_become_texts(value: Any, kept: Any) -> None:
    assert escaped_json(value) == kept
    assert orjson.loads(orjson.dumps(escaped_json([value]))) == [kept]


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 254, 255, 900, 50_000])
def test_a_value_of_any_depth_can_be_written(depth: int) -> None:
    kept = escaped_json(nested(depth))
    assert len(orjson.dumps(kept)) < 20_000
    for _ in range(MAX_DEPTH):
        kept = kept["a"]
    if depth < 900:
        assert json.loads(kept) == nested(depth - MAX_DEPTH)
    assert isinstance(kept, str)
