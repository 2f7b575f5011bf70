"""Orders and refunds as they are reported, and the events that they become."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from shared.domain.events import EventType
from shared.domain.order_events import MAX_LINES, REPORT, events_of, line_id

ORDER = {"user_id": "u1", "event_type": "order", "order_id": "A-1", "lines": [{"product_id": 1, "quantity": 2}]}
REFUND = {"user_id": "u1", "event_type": "refund", "order_id": "A-1"}


def test_an_orders_lines_are_purchases_known_by_order_and_position() -> None:
    lines = [{"product_id": 1, "quantity": 2, "price": 1.5}, {"product_id": 7}, {"product_id": 1, "quantity": 20_000}]
    report = REPORT.validate_python(ORDER | {"lines": lines, "metadata": {"currency": "EUR"}, "session_id": "s"})
    events = events_of(report, "any")
    assert [event_id for event_id, _event in events] == [str(line_id("A-1", position)) for position in range(3)]
    assert [(event.product_id, event.event_type, event.metadata) for _id, event in events] == [
        (1, EventType.PURCHASE, {"currency": "EUR", "order_id": "A-1", "quantity": 2, "price": 1.5}),
        (7, EventType.PURCHASE, {"order_id": "A-1", "quantity": 1}),
        (1, EventType.PURCHASE, {"order_id": "A-1", "quantity": 10_000}),
    ]
    assert {event.session_id for _id, event in events} == {"s"}
    assert len({line_id("A-1", 0), line_id("A-10", 0), line_id("A-1", 10), line_id("1", 11), line_id("11", 1)}) == 5


def test_a_refund_is_one_event_per_line_or_one_of_the_whole_order() -> None:
    whole = events_of(REPORT.validate_python(REFUND), "r1")
    assert [(event_id, event.product_id, event.metadata) for event_id, event in whole] == [
        ("r1", None, {"order_id": "A-1"})
    ]
    lines = [{"product_id": 1, "quantity": 2}, {"product_id": 7}]
    parts = events_of(REPORT.validate_python(REFUND | {"lines": lines}), "r1")
    assert [(event.product_id, event.metadata) for _id, event in parts] == [
        (1, {"order_id": "A-1", "quantity": 2}),
        (7, {"order_id": "A-1"}),
    ]
    again, other = (events_of(REPORT.validate_python(REFUND | {"lines": lines}), name) for name in ("r1", "r2"))
    assert again == parts
    assert len({event_id for event_id, _event in [*parts, *other]}) == 4


@pytest.mark.parametrize("number", [1, MAX_LINES])
def test_an_order_may_have_up_to_500_lines(number: int) -> None:
    report = REPORT.validate_python(ORDER | {"lines": [{"product_id": 1}] * number})
    assert len(events_of(report, "e")) == number


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lines": []}, "at least 1"),
        ({"lines": None}, "valid list"),
        ({"lines": [{"product_id": 1}] * (MAX_LINES + 1)}, "at most 500"),
        ({"lines": [{"product_id": 1, "quantity": 0}]}, "greater than or equal to 1"),
        ({"lines": [{"product_id": 1, "quantity": "3"}]}, "valid integer"),
        ({"lines": [{"product_id": 1, "price": -1}]}, "greater than or equal to 0"),
        ({"lines": [{"quantity": 1}]}, "give product_id or external_id"),
        ({"order_id": " "}, "at least 1"),
        ({"order_id": "x" * 256}, "at most 255"),
        ({"order_id": 7}, "valid string"),
        ({"product_id": 1}, "Extra inputs"),
        ({"user_id": "undefined"}, "the id of a single user"),
    ],
)
def test_an_order_that_cannot_be_right_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        REPORT.validate_python(ORDER | change)


def test_a_refund_names_each_product_once() -> None:
    with pytest.raises(ValidationError, match="each product once"):
        REPORT.validate_python(REFUND | {"lines": [{"product_id": 1}, {"product_id": 1}]})


def test_the_same_product_by_another_id_is_another_line() -> None:
    lines = [{"external_id": "a"}, {"external_id": "b"}, {"product_id": 1}, {"product_id": 2}]
    report = REPORT.validate_python(REFUND | {"lines": lines})
    assert [event.external_id or event.product_id for _id, event in events_of(report, "r")] == ["a", "b", 1, 2]
    with pytest.raises(ValidationError, match="each product once"):
        REPORT.validate_python(REFUND | {"lines": [*lines, {"external_id": "b"}]})


@pytest.mark.parametrize("report", [ORDER, REFUND, REFUND | {"lines": [{"external_id": "a"}]}])
def test_an_event_has_the_user_the_time_and_the_session_of_its_report(report: dict[str, Any]) -> None:
    facts = {"timestamp": "2026-01-02T03:04:05Z", "session_id": "s", "metadata": {"currency": "EUR"}}
    ((own_id, event),) = events_of(REPORT.validate_python(report | facts), "e")
    assert (event.user_id, event.session_id) == ("u1", "s")
    assert event.timestamp == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert event.event_id == own_id
    assert (event.metadata or {}).items() >= {"currency": "EUR", "order_id": "A-1"}.items()


def test_what_is_free_has_a_price() -> None:
    report = REPORT.validate_python(ORDER | {"lines": [{"product_id": 1, "price": 0.0}]})
    ((_id, event),) = events_of(report, "e")
    assert (event.metadata or {})["price"] == 0.0


def test_an_external_id_that_is_not_valid_has_one_error() -> None:
    with pytest.raises(ValidationError) as raised:
        REPORT.validate_python(ORDER | {"lines": [{"external_id": ""}]})
    assert [error["loc"][-1] for error in raised.value.errors()] == ["external_id"]


def test_refunds_of_one_order_have_ids_of_their_own() -> None:
    lines = {"lines": [{"product_id": 1}]}
    ids = [events_of(REPORT.validate_python(REFUND | lines), event_id)[0][0] for event_id in ("r1", "r2")]
    assert ids[0] != ids[1]
