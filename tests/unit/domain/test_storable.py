"""What jsonb can hold is taken as it is; anything else is refused where it arrives, and escaped where it is kept."""

from typing import Any

import orjson
import pytest

from shared.domain.storable import MAX_DEPTH, json_of, require_json, text_of


def nested(levels: int, inner: Any = "x") -> Any:
    """Return lists in lists, ``levels`` of them."""
    value = inner
    for _ in range(levels):
        value = [value]
    return value


STORABLE: tuple[Any, ...] = (
    None,
    True,
    "Käse \U0001f9c0\n",
    {"a": [1, 2.5, {"b": "c"}]},
    -(2**63) + 1,
    2**63 - 1,
    1e308,
    nested(MAX_DEPTH),
)


@pytest.mark.parametrize("value", STORABLE)
def test_what_can_be_stored_is_not_changed(value: Any) -> None:
    assert require_json(value) == value
    assert json_of(value) == value


@pytest.mark.parametrize(
    ("value", "kept", "reason"),
    [
        ({"note": "x\0y"}, {"note": "x\\0y"}, "NUL"),
        ({"n\0te": 1}, {"n\\0te": 1}, "NUL"),
        ([{"a": "\ud800"}], [{"a": "\\ud800"}], "lone surrogates"),
        ({"\udfff": 1}, {"\\udfff": 1}, "lone surrogates"),
        ([float("nan")], ["nan"], "NaN"),
        ({"a": float("-inf")}, {"a": "-inf"}, "infinity"),
        (nested(MAX_DEPTH + 1), nested(MAX_DEPTH, "(nested too deeply)"), "levels"),
        (nested(5_000), nested(MAX_DEPTH, "(nested too deeply)"), "levels"),
    ],
)
def test_what_cannot_be_stored_is_refused_or_escaped(value: Any, kept: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        require_json(value)
    assert json_of(value) == kept
    orjson.dumps(json_of(value))


def test_a_number_beyond_64_bits_and_what_is_no_json_are_kept_as_text() -> None:
    assert json_of({"a": 2**63, "b": -(2**70), "c": {1}}) == {"a": str(2**63), "b": str(-(2**70)), "c": "{1}"}


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert text_of("\U0001f9c0") == "\U0001f9c0"
    assert text_of("a\0\ud800") == "a\\0\\ud800"
