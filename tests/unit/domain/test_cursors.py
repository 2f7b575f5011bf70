"""Cursors come back as they were given, and nothing else is one."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.cursors import KeyType, after, decode, encode, parameters
from tests.examples import examples

TYPES: list[KeyType] = ["boolean", "bigint", "numeric", "float8", "timestamptz", "uuid"]
KEY: list[Any] = [True, 7, 2.95, "Infinity", "2026-01-31T12:00:00.123456+00:00", "019ac0de-5a3c-7b04-8645-388718357e4d"]


def test_a_cursor_is_the_key_in_letters_that_a_url_needs_not_escape() -> None:
    cursor = encode("price, id", KEY)
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert decode(cursor, "price, id", TYPES) == [True, 7, "2.95", "Infinity", *KEY[4:]]


@pytest.mark.parametrize("position", range(len(KEY)))
@pytest.mark.parametrize(
    "value", [None, "x", [], {}, "7", 2**63, True, "Infinity", "2026-01-31T12:00:00", "9999-12-31T23:59-23:59"]
)
def test_a_key_of_another_type_is_refused(position: int, value: Any) -> None:
    if (position == 0 and value is True) or (position in (2, 3) and value == 2**63) or value == KEY[position]:
        return
    key = [*KEY[:position], value, *KEY[position + 1 :]]
    with pytest.raises(ValueError, match="not a cursor of this list"):
        decode(encode("price, id", key), "price, id", TYPES)


def test_a_cursor_belongs_to_one_order_and_has_every_column() -> None:
    with pytest.raises(ValueError, match="not a cursor of this list"):
        decode(encode("price, id", KEY), "price DESC, id", TYPES)
    with pytest.raises(ValueError, match="not a cursor of this list"):
        decode(encode("price, id", KEY[:-1]), "price, id", TYPES)


@pytest.mark.parametrize(
    ("time", "in_utc"),
    [
        ("9999-12-31T23:59:59.999999+00:00", "9999-12-31T23:59:59.999999+00:00"),
        ("9999-12-31T23:59:59-00:01", None),
        ("0001-01-01T00:00:00+00:01", None),
        # PostgreSQL reads no zone with fractions of a second
        ("2026-01-02T00:00:00+23:59:59.5", "2026-01-01T00:00:00.500000+00:00"),
    ],
)
def test_a_time_is_one_that_postgresql_has(time: str, in_utc: str | None) -> None:
    cursor = encode("created_at", [time])
    if in_utc is None:
        with pytest.raises(ValueError, match="not a cursor of this list"):
            decode(cursor, "created_at", ["timestamptz"])
    else:
        assert decode(cursor, "created_at", ["timestamptz"]) == [in_utc]


@settings(max_examples=examples(200), deadline=None)
@given(st.text(max_size=100))
def test_no_text_makes_anything_but_a_refusal(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor of this list"):
        decode(text, "price, id", TYPES)


def test_rows_after_a_key_differ_in_the_first_column_that_differs() -> None:
    assert after([("price", False, "numeric"), ("id", True, "bigint")]) == (
        "((price > cast(:after_0 AS numeric)) OR (price = cast(:after_0 AS numeric) AND id < cast(:after_1 AS bigint)))"
    )


@pytest.mark.parametrize("number", [2**63 - 1, 1 - 2**63, 0, -1])
def test_every_number_of_postgres_is_a_key(number: int) -> None:
    assert decode(encode("id", [number]), "id", ["bigint"]) == [number]


def test_a_number_keeps_all_its_digits() -> None:
    assert decode(encode("score", [0.1234567890123, 1e-9, 3]), "score", ["float8", "numeric", "numeric"]) == [
        "0.1234567890123",
        "1e-09",
        "3",
    ]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00+00:00", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T12:00:00.000001Z", "2026-01-31T12:00:00.000001+00:00"),
        # Python reads these, Postgres does not
        ("2026-W05-6T12:00:00+00:00", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T12:00:00,5+23:30", "2026-01-30T12:30:00.500000+00:00"),
    ],
)
def test_a_time_is_one_that_postgres_reads(text: str, moment: str) -> None:
    assert decode(encode("newest", [text]), "newest", ["timestamptz"]) == [moment]


def test_an_id_is_written_as_postgres_writes_it() -> None:
    assert decode(encode("id", [KEY[5].replace("-", "").upper()]), "id", ["uuid"]) == [KEY[5]]


def test_a_third_column_decides_only_where_the_first_two_are_equal() -> None:
    columns: list[tuple[str, bool, KeyType]] = [("a", False, "numeric"), ("b", True, "float8"), ("c", False, "uuid")]
    assert after(columns).endswith(
        "OR (a = cast(:after_0 AS numeric) AND b = cast(:after_1 AS float8) AND c > cast(:after_2 AS uuid)))"
    )
    assert parameters([1, "2.5"]) == {"after_0": 1, "after_1": "2.5"}
