"""Rows of a history as events, and the reasons why rows are left out."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from jobs.data.event_rows import COLUMNS, Checked, EventRules, check
from shared.domain.events import Event, EventType, event_key
from shared.tables.times import TimestampUnit, parse_zone

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
GOOD = {"user_id": "u1", "product_id": "1", "event_type": "view", "timestamp": "2026-05-31T10:00:00Z"}


def checked(*rows: dict[str, Any], unit: TimestampUnit = "iso") -> Checked:
    frame = pd.DataFrame([{**GOOD, **row} for row in rows], columns=list(COLUMNS), dtype="str")
    return check(frame, np.arange(2, 2 + len(rows)), EventRules(unit), NOW)


def only(row: dict[str, Any], unit: TimestampUnit = "iso") -> dict[str, Any]:
    result = checked(row, unit=unit)
    assert result.rejected == []
    return {str(name): value for name, value in result.events.iloc[0].items()}


def test_a_clock_may_be_ten_minutes_ahead() -> None:
    for timestamp in ("2026-06-01T12:00:00Z", "2026-06-01T12:09:59.999Z", "2026-06-01T12:10:00Z"):
        assert only({"timestamp": timestamp})["event_id"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"user_id": None}, "no user_id"),
        ({"user_id": "x" * 256}, "user_id is longer"),
        ({"user_id": "[object Object]"}, "user_id is not the id of a single user: [object Object]"),
        ({"user_id": "Undefined"}, "user_id is not the id of a single user"),
        ({"user_id": "a\0b"}, "user_id is longer than 255 or has control characters"),
        ({"event_type": None}, "no event_type"),
        ({"event_type": "look"}, "unknown event_type"),
        ({"timestamp": None}, "no timestamp"),
        ({"timestamp": "31.05.2026 10:00"}, "zone"),
        ({"timestamp": "1780000000"}, "zone"),
        ({"timestamp": "2026-13-31T10:00:00Z"}, "zone"),
        ({"timestamp": "1999-12-31T23:59:59Z"}, "before 2000"),
        ({"timestamp": "2026-06-01T12:10:00.001Z"}, "future"),
        ({"timestamp": "2026-06-01T13:39:00Z"}, "future"),
        ({"product_id": "0"}, "product_id is not"),
        ({"product_id": "-1"}, "product_id is not"),
        ({"product_id": "1.5"}, "product_id is not"),
        ({"product_id": str(2**53)}, "product_id is not"),
        ({"product_id": None}, "no product"),
        ({"external_id": "x" * 256}, "external_id is longer"),
        ({"quantity": "0"}, "quantity is not"),
        ({"quantity": "-3"}, "quantity is not"),
        ({"quantity": "two"}, "quantity is not"),
        ({"quantity": "1.5"}, "quantity is not"),
        ({"session_id": "x" * 256}, "session_id is longer"),
        ({"event_id": "x" * 129}, "event_id is longer"),
        ({"metadata": "[1]"}, "not a JSON object"),
        *(
            ({"event_type": "purchase", "metadata": f'{{"quantity": {quantity}}}'}, "metadata.quantity must be a whole")
            for quantity in ("true", "0", "-2", "2.5", '"3"')
        ),
        ({"metadata": "{"}, "not valid JSON"),
        ({"metadata": '{"a": "\\u0000"}'}, "NUL"),
        ({"metadata": '{"a": "' + "x" * 4096 + '"}'}, "at most 4096 bytes"),
    ],
)
def test_a_bad_row_has_its_reason_and_number_and_the_others_stay(row: dict[str, Any], reason: str) -> None:
    result = checked({}, row, {"user_id": "u2"})
    assert [number for number, _why in result.rejected] == [3]
    assert reason in result.rejected[0][1]
    assert result.events["position"].tolist() == [2, 4]


def test_times_are_read_in_every_way_that_names_its_zone() -> None:
    expected = pd.Timestamp("2026-05-31T10:00:00.5Z")
    for text in ("2026-05-31T10:00:00.5Z", "2026-05-31 12:00:00.500+02:00", "2026-05-31T05:00:00.500000-0500"):
        assert only({"timestamp": text})["occurred_at"] == expected
    assert only({"timestamp": "1780221600.5"}, unit="s")["occurred_at"] == expected
    assert only({"timestamp": "1780221600500"}, unit="ms")["occurred_at"] == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-31 10:00:00 UTC",
        "2026-05-31 10:00:00.000 utc",
        "2026-05-31T12:00:00,0+02:00",
        "2026-05-31 12:00:00 +0200",
        "2026-05-31T10:00Z",
        "20260531T100000Z",
        "2026-05-31t10:00:00z",
        "2026-05-31T10:00:00",
        "2026-05-31 10:00",
        "1780221600",
        "1780221600.0",
        "1780221600000",
        "1780221600000000",
        "1.7802216e9",
    ],
)
def test_the_format_of_a_time_is_recognised(text: str) -> None:
    row = {"timestamp": text}
    result = check(pd.DataFrame([{**GOOD, **row}], columns=list(COLUMNS), dtype="str"), np.arange(1), now=NOW)
    assert result.rejected == []
    assert result.events.iloc[0]["occurred_at"] == pd.Timestamp("2026-05-31T10:00:00Z")
    assert len(result.zoneless) == (text in ("2026-05-31T10:00:00", "2026-05-31 10:00"))


@pytest.mark.parametrize(
    "text", ["20260531", "5", "1e30", "yesterday", "31/05/2026", "2026-05-31T25:00:00Z", "178022160000000000000"]
)
def test_a_text_that_may_not_be_a_time_is_refused(text: str) -> None:
    row = {"timestamp": text}
    result = check(pd.DataFrame([{**GOOD, **row}], columns=list(COLUMNS), dtype="str"), np.arange(1), now=NOW)
    assert len(result.rejected) == 1
    assert "timestamp" in result.rejected[0][1]


def test_times_without_a_zone_are_in_the_zone_that_is_given() -> None:
    rules = EventRules(zone=parse_zone("Europe/Berlin"))
    texts = ["2026-03-28T12:00:00", "2026-03-29T12:00:00", "2026-03-29T02:30:00", "2025-10-26T02:30:00"]
    frame = pd.DataFrame([{**GOOD, "timestamp": text} for text in texts], columns=list(COLUMNS), dtype="str")
    expected = [
        pd.Timestamp("2026-03-28T11:00:00Z"),
        pd.Timestamp("2026-03-29T10:00:00Z"),
        # an hour that the clocks skip, and one that they show twice
        pd.Timestamp("2026-03-29T01:00:00Z"),
        pd.Timestamp("2025-10-26T00:30:00Z"),
    ]
    for rows in (frame, frame.assign(timestamp=pd.to_datetime(frame["timestamp"]))):
        assert check(rows, np.arange(4), rules, NOW).events["occurred_at"].tolist() == expected


def test_names_of_event_types_are_read_as_they_are_known_and_given() -> None:
    assert only({"event_type": "addToCart"})["event_type"] == "add_to_cart"
    rules = EventRules(event_types={"kauf": EventType.PURCHASE}, event_type=EventType.VIEW)
    frame = pd.DataFrame(
        [{**GOOD, "event_type": name} for name in ("Kauf", None, "look")], columns=list(COLUMNS), dtype="str"
    )
    result = check(frame, np.arange(3), rules, NOW)
    assert result.events["event_type"].tolist() == ["purchase", "view"]
    assert result.rejected == [(2, "unknown event_type: look")]


def test_an_id_that_is_a_whole_float_is_the_whole_number() -> None:
    plain = only({"product_id": "7", "user_id": "1001", "quantity": "3", "event_type": "purchase"})
    floats = only({"product_id": "7.0", "user_id": "1001.0", "quantity": "3.0", "event_type": "transaction"})
    assert floats == plain
    assert (plain["product_id"], plain["user_key"], plain["quantity"]) == (7, "1001", 3)
    assert only({"external_id": "007.0"})["external_id"] == "007.0"


@pytest.mark.parametrize("text", ["nan", "inf", "1e30", "2026-05-31T10:00:00Z", "-1"])
def test_an_invalid_epoch_number_is_refused(text: str) -> None:
    assert len(checked({"timestamp": text}, unit="ms").rejected) == 1


def test_milliseconds_that_are_called_seconds_are_refused_not_guessed() -> None:
    assert len(checked({"timestamp": "1780221600000"}, unit="s").rejected) == 1


def test_a_search_needs_no_product_and_an_external_id_wins() -> None:
    search = only({"event_type": "search", "product_id": None})
    assert pd.isna(search["product_id"])
    assert pd.isna(search["external_id"])
    both = only({"product_id": "7", "external_id": "85123A"})
    assert both["external_id"] == "85123A"
    assert pd.isna(both["product_id"])


def test_quantity_is_of_purchases_from_its_column_or_metadata_and_capped() -> None:
    assert only({"event_type": "purchase", "quantity": "3"})["quantity"] == 3
    assert only({"event_type": "purchase", "quantity": "99999"})["quantity"] == 10_000
    assert only({"event_type": "purchase", "metadata": '{"quantity": 4}'})["quantity"] == 4
    assert only({"event_type": "purchase", "metadata": '{"quantity": 4.0}'})["quantity"] == 4
    assert only({"event_type": "view", "metadata": '{"quantity": "many"}'})["quantity"] == 1
    assert only({"event_type": "view", "quantity": "3"})["quantity"] == 1


def test_a_given_id_is_the_same_as_when_the_event_is_sent() -> None:
    for text in ("order-1-line-2", "0190b0a4-0000-7000-8000-000000000000"):
        assert UUID(only({"event_id": text})["event_id"]) == event_key(text)


def test_a_derived_id_depends_on_every_value_of_a_row_and_on_nothing_else() -> None:
    base = only({})["event_id"]
    assert only({})["event_id"] == base
    assert only({"timestamp": "2026-05-31T12:00:00+02:00"})["event_id"] == base
    assert UUID(base).version == 8
    variants = [
        {"user_id": "u2"},
        {"product_id": "2"},
        {"product_id": None, "external_id": "1"},
        {"event_type": "purchase"},
        {"timestamp": "2026-05-31T10:00:00.000001Z"},
        {"session_id": "s"},
        {"quantity": "2"},
        {"metadata": "{}"},
        {"user_id": "u11", "product_id": "1"},
        {"session_id": "2"},
    ]
    ids = [only(variant)["event_id"] for variant in variants]
    assert len({base, *ids}) == len(variants) + 1


def test_derived_ids_sort_by_time() -> None:
    events = checked(*({"timestamp": f"2026-05-{day:02d}T10:00:00Z"} for day in range(1, 29))).events
    assert events["event_id"].is_monotonic_increasing


def test_every_accepted_row_would_be_accepted_by_the_api() -> None:
    rows = [{}, {"event_type": "purchase", "metadata": '{"quantity": 2}'}, {"session_id": "s", "event_id": "e"}]
    assert checked(*rows).rejected == []
    for row in rows:
        values: dict[str, Any] = {**GOOD, **row, "product_id": 1}
        values.pop("metadata", None)
        Event.model_validate(values)


def test_no_rows_are_no_events() -> None:
    result = check(pd.DataFrame(columns=list(COLUMNS), dtype="str"), np.arange(0), EventRules("iso"), NOW)
    assert (len(result.events), result.rejected) == (0, [])
