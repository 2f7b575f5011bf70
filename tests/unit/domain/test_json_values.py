"""What jsonb cannot hold is refused where it is sent, and escaped where it is kept for people to read."""

import json
from typing import Any

import orjson
import pytest

from shared.domain.json_values import (
    MAX_DEEP_CHARACTERS,
    MAX_DEPTH,
    PARSED_DEPTH,
    escaped_json,
    escaped_text,
    storable_json,
    without_depths,
)


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


def deep(depth: int, core: str = "1") -> str:
    return '{"a":[' * (depth // 2) + "[" * (depth % 2) + core + "]" * (depth % 2) + "]}" * (depth // 2)


def levels(value: Any) -> int:
    count = 0
    while isinstance(value, (dict, list)):
        value, count = value["a"] if isinstance(value, dict) else value[0], count + 1
    return count


@pytest.mark.parametrize(
    "text",
    ["", "1", "{", "]", "]]]][", '"', '"\\', '{"a": "]]["}', '["\\"["]', deep(PARSED_DEPTH), deep(PARSED_DEPTH) * 3],
)
def test_json_of_few_levels_stays_as_it_is(text: str) -> None:
    assert without_depths(text) == text


@pytest.mark.parametrize("core", ["1", '"]}"', r'"\"]}"', r'"\\"', "[], {}"])
def test_levels_beyond_the_limit_become_a_text(core: str) -> None:
    def lists(depth: int, core: str = core) -> str:
        return "[" * depth + core + "]" * depth

    # the list around them is a level itself
    whole = f"[{lists(PARSED_DEPTH - 1, '7')}, {lists(PARSED_DEPTH + 1)}, [2], {lists(PARSED_DEPTH)}]"
    before, first, between, second = json.loads(without_depths(whole))
    assert (before, between) == (json.loads(lists(PARSED_DEPTH - 1, "7")), [2])
    assert first == json.loads(lists(PARSED_DEPTH - 1, json.dumps(lists(2))))
    assert second == json.loads(lists(PARSED_DEPTH - 1, json.dumps(lists(1))))


@pytest.mark.parametrize("depth", [1_100, 100_000])
def test_any_number_of_levels_can_be_parsed_and_is_refused(depth: int) -> None:
    value, beside = json.loads(without_depths(f"[{deep(depth)}, 5]"))
    assert (levels(value), beside) == (PARSED_DEPTH - 1, 5)
    with pytest.raises(ValueError, match="levels"):
        storable_json(value)
    assert len(without_depths(f"[{deep(depth)}]")) < 3 * MAX_DEEP_CHARACTERS


@pytest.mark.parametrize("text", ["[" * 5_000, deep(5_000)[:-1], deep(5_000) + "]", "[1" * 5_000 + '"' + "]" * 5_000])
def test_what_is_no_json_stays_none(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(without_depths(text))
