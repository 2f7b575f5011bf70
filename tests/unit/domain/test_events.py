"""Valid events, and their ids."""

import time
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.domain.events import EVENT_WEIGHTS, Event, EventType, clamped, event_key, uuid7
from tests.examples import examples

GOOD = {"user_id": "u1", "product_id": 1, "event_type": "view"}


def test_every_event_type_has_a_weight() -> None:
    assert set(EVENT_WEIGHTS) == set(EventType)
    assert EVENT_WEIGHTS[EventType.VIEW] == 1
    assert EVENT_WEIGHTS[EventType.ADD_TO_CART] == 3
    assert EVENT_WEIGHTS[EventType.PURCHASE] == 5
    assert EVENT_WEIGHTS[EventType.WISHLIST] == 2
    assert EVENT_WEIGHTS[EventType.RECOMMENDATION_CLICK] == 1


def test_a_minimal_event_is_valid() -> None:
    event = Event.model_validate(GOOD)
    assert (event.user_id, event.product_id, event.event_type) == ("u1", 1, EventType.VIEW)


@pytest.mark.parametrize("event_type", EventType)
def test_only_searches_custom_events_and_refunds_need_no_product(event_type: EventType) -> None:
    if event_type in ("search", "custom", "refund"):
        assert Event.model_validate({"user_id": "u", "event_type": event_type}).product_id is None
        return
    message = "give product_id or external_id; only search, custom and refund events may omit both"
    with pytest.raises(ValidationError, match=message):
        Event.model_validate({"user_id": "u", "event_type": event_type})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user_id": ""}, "at least 1"),
        ({"user_id": "u" * 256}, "at most 255"),
        ({"user_id": "a\0b"}, "control characters"),
        ({"user_id": 7}, "valid string"),
        ({"product_id": 0}, "greater than or equal to 1"),
        ({"product_id": "1"}, "valid integer"),
        ({"product_id": True}, "valid integer"),
        ({"product_id": 2**63}, "less than or equal"),
        ({"event_type": "gaze"}, "Input should be"),
        ({"timestamp": "2026-01-01T00:00:00"}, "timezone"),
        ({"timestamp": 1_700_000_000}, "ISO 8601"),
        ({"timestamp": "1700000000"}, "ISO 8601"),
        ({"timestamp": "1999-12-31T23:59:59Z"}, "before 2000"),
        ({"timestamp": "9999-12-31T23:59:59Z"}, "future"),
        ({"timestamp": "yesterday"}, "datetime"),
        ({"metadata": {"a": {"b": ["x\0"]}}}, "NUL"),
        ({"metadata": {"a": "x" * 5000}}, "at most 4096 bytes"),
        ({"metadata": {"a": float("nan")}}, "NaN"),
        ({"metadata": [1]}, "valid dictionary"),
        ({"session_id": ""}, "at least 1"),
        ({"session_id": "s" * 256}, "at most 255"),
        ({"product_id": 2**53}, "less than or equal"),
        ({"event_id": "e" * 129}, "at most 128"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_bad_field_is_refused_and_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Event.model_validate(GOOD | change)


def test_a_timestamp_of_any_zone_becomes_utc() -> None:
    event = Event.model_validate(GOOD | {"timestamp": "2026-01-01T12:00:00+02:00"})
    assert event.timestamp == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert event.timestamp is not None
    assert event.timestamp.utcoffset() == timedelta(0)


def test_a_client_whose_clock_is_a_minute_ahead_is_believed() -> None:
    ahead = datetime.now(UTC) + timedelta(minutes=1)
    assert Event.model_validate(GOOD | {"timestamp": ahead.isoformat()}).timestamp == ahead


def test_an_event_id_that_is_no_uuid_always_becomes_the_same_one() -> None:
    assert event_key("order-1-line-2") == event_key("order-1-line-2") != event_key("order-1-line-3")
    plain = "018f4a5e-7b7a-7c3d-8e9f-0a1b2c3d4e5f"
    assert str(event_key(plain)) == plain == str(event_key(plain.upper()))


def test_a_client_s_uuid_of_version_8_becomes_another_one_however_it_is_written() -> None:
    personal = "018f4a5e-7b7a-8c3d-8e9f-0a1b2c3d4e5f"
    keys = {event_key(text) for text in (personal, personal.upper(), personal.replace("-", ""), f"{{{personal}}}")}
    assert [key.version for key in keys] == [5]
    # what was mapped stays, in a message that is replayed
    assert {event_key(str(key)) for key in keys} == keys
    # neither another version nor another variant is one of those keys
    for other in ("018f4a5e-7b7a-4c3d-8e9f-0a1b2c3d4e5f", "018f4a5e-7b7a-8c3d-ce9f-0a1b2c3d4e5f"):
        assert str(event_key(other)) == other


def test_new_ids_are_version_7_and_in_order_of_time() -> None:
    ids = [uuid7() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {event_id.version for event_id in ids} == {7}
    assert [event_id.int >> 80 for event_id in ids] == sorted(event_id.int >> 80 for event_id in ids)


def test_new_ids_have_the_time_the_variant_and_74_random_bits() -> None:
    before = time.time_ns() // 1_000_000
    ids = [uuid7() for _ in range(200)]
    after = time.time_ns() // 1_000_000
    assert {event_id.variant for event_id in ids} == {RFC_4122}
    assert all(before <= event_id.int >> 80 <= after for event_id in ids)
    # a bit that is never set, or always, would be one of the version or of the variant
    fixed = {bit for bit in range(80) if len({event_id.int >> bit & 1 for event_id in ids}) == 1}
    assert fixed == {62, 63, 76, 77, 78, 79}


@settings(max_examples=examples(30), deadline=None)
@given(
    st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists), max_size=5)
)
def test_any_metadata_is_either_storable_or_refused(metadata: dict[str, object]) -> None:
    try:
        event = Event.model_validate(GOOD | {"metadata": metadata})
    except ValidationError:
        return
    assert "\0" not in str(event.metadata)


def test_a_timestamp_that_is_none_names_its_field() -> None:
    with pytest.raises(ValidationError) as caught:
        Event.model_validate({"user_id": "u", "product_id": 1, "event_type": "view", "timestamp": "yesterday"})
    assert [error["loc"] for error in caught.value.errors()] == [("timestamp",)]


def at(difference: timedelta) -> str:
    return (datetime.now(UTC) + difference).isoformat()


@pytest.mark.parametrize("wrong", [timedelta(days=400), timedelta(hours=-30), timedelta(minutes=2)])
def test_a_wrong_clock_is_corrected_by_sent_at(wrong: timedelta) -> None:
    happened = timedelta(hours=-3)
    event = Event.model_validate(GOOD | {"timestamp": at(happened + wrong), "sent_at": at(wrong)})
    assert event.timestamp is not None
    assert abs(event.timestamp - (datetime.now(UTC) + happened)) < timedelta(seconds=30)


def test_a_clock_that_is_right_or_nearly_so_changes_no_time() -> None:
    timestamp = at(timedelta(hours=-3))
    for sent_at in (at(timedelta()), at(timedelta(seconds=-50)), None):
        event = Event.model_validate(GOOD | {"timestamp": timestamp, "sent_at": sent_at})
        assert event.timestamp == datetime.fromisoformat(timestamp)


@pytest.mark.parametrize("ahead", [timedelta(minutes=11), timedelta(hours=23, minutes=59)])
def test_a_time_up_to_a_day_ahead_becomes_the_time_of_the_request(ahead: timedelta) -> None:
    event = Event.model_validate(GOOD | {"timestamp": at(ahead)})
    now = datetime.now(UTC)
    assert event.timestamp is not None
    assert clamped(event.timestamp, now) == now
    near = now + timedelta(minutes=9)
    assert clamped(near, now) == near


def test_a_time_more_than_a_day_ahead_is_refused() -> None:
    with pytest.raises(ValidationError, match="send sent_at too"):
        Event.model_validate(GOOD | {"timestamp": at(timedelta(days=1, minutes=1))})


@pytest.mark.parametrize("change", [{"session_id": "s"}, {"session_id": "s" * 255}, {"product_id": 2**53 - 1}])
def test_a_value_at_its_limit_is_taken(change: dict[str, object]) -> None:
    (name,) = change
    assert getattr(Event.model_validate(GOOD | change), name) == change[name]
