"""Two recordings of the same answer give the same example."""

from datetime import UTC, datetime
from typing import Any

import pytest

from local.api_examples.normalising import DAY, Normaliser, is_alike

NOW = datetime(2026, 11, 26, 17, 0, tzinfo=UTC)


@pytest.fixture
def normaliser() -> Normaliser:
    return Normaliser(NOW)


def test_days_keep_their_distance_from_the_recording(normaliser: Normaliser) -> None:
    value = {"at": "2026-11-26T09:10:11.123456Z", "since": "2026-11-01T23:59:59+00:00", "days": ["2026-11-25"]}
    assert normaliser.value(value) == {
        "at": f"{DAY}T12:00:00Z",
        "since": "2026-01-06T12:00:00Z",
        "days": ["2026-01-30"],
    }


def test_a_moment_becomes_the_same_whatever_its_day(normaliser: Normaliser) -> None:
    other = Normaliser(datetime(2027, 3, 1, tzinfo=UTC))
    assert normaliser.value("2026-11-24T01:00:00Z") == other.value("2027-02-27T22:22:22Z")
    # text that looks like none stays
    assert normaliser.value("size 12-34, 24.9") == "size 12-34, 24.9"


def test_an_id_is_the_same_in_every_answer_and_other_ids_are_others(normaliser: Normaliser) -> None:
    ann, bob = "guest_" + "a" * 32, "guest_" + "b" * 32
    first = normaliser.value({"user_id": ann})
    second = normaliser.value({"from": bob, "to": ann})
    assert first == {"user_id": f"guest_{1:032x}"}
    assert second == {"from": f"guest_{2:032x}", "to": first["user_id"]}
    # what a client sent back in an example is not numbered again
    assert normaliser.value(first) == first


def test_secrets_and_measured_numbers_have_one_value(normaliser: Normaliser) -> None:
    value = {"access_token": "abc.def.ghi", "key": "sk_1", "expires_in": 900, "took_ms": 17, "score": 0.123, "k": 5}
    assert normaliser.value(value) == {
        "access_token": "eyJhbGciOiJIUzI1NiIs…",
        "key": "sk_000000000001_…",
        "expires_in": 900,
        "took_ms": 250,
        "score": 0.25,
        "k": 5,
    }
    assert normaliser.value({"key": "pk_1"}) == {"key": "pk_000000000001_…"}
    assert normaliser.value("/report?link=Zm9v-_x") == "/report?link=…"


@pytest.mark.parametrize(
    ("one", "other", "are_alike"),
    [
        ({"a": 1}, {"a": 2.5}, True),
        ({"a": [1, 2]}, {"a": [7]}, True),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 3}]}, True),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": None}, {"a": 1}, True),
        ({"a": []}, {"a": [1]}, True),
        ({"a": [{"b": None}, {"b": 2}]}, {"a": [{"b": 3}]}, True),
        ({"a": [{"b": 1}]}, {"a": [{"b": "1"}]}, False),
        ({"a": [{"b": 1}]}, {"a": [{"c": 1}]}, False),
        ({"before": {"b": 1}}, {"before": {"c": 1}}, True),
        ({"a": 1}, {"a": 1, "b": 1}, False),
        ({"a": True}, {"a": 1}, False),
    ],
)
def test_answers_are_alike_if_they_have_the_same_fields_of_the_same_types(
    one: Any, other: Any, are_alike: bool
) -> None:
    assert is_alike(one, other) == are_alike
