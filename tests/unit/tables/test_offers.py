"""Sale prices count while the sale lasts; stock in words becomes a quantity."""

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from shared.tables.offers import UnreadableOffer, settle

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("starts", "ends", "price"),
    [
        (None, None, 7),
        ("2026-03-10", "2026-03-10", 7),
        ("2026-03-10T12:00+00:00", None, 7),
        ("2026-03-10T12:00:01+00:00", None, 9),
        (None, "2026-03-10T12:00:00Z", 7),
        (None, "2026-03-10T11:59:59Z", 9),
        ("2026-03-11", None, 9),
        (None, "2026-03-09", 9),
        ("2026-03-10T12:30+01:00", None, 7),
    ],
)
def test_a_sale_price_counts_while_the_sale_lasts(starts: str | None, ends: str | None, price: int) -> None:
    values = {"price": Decimal(9), "sale_price": Decimal(7), "sale_starts": starts, "sale_ends": ends}
    settled = settle({name: value for name, value in values.items() if value is not None}, NOW)
    assert settled["price"] == price
    assert settled.get("list_price") == (9 if price == 7 else None)
    assert not {"sale_price", "sale_starts", "sale_ends"} & settled.keys()


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Midway"])
def test_a_time_without_a_zone_is_utc_wherever_the_machine_is(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for end, price in (("2026-03-10T12:00", 7), ("2026-03-10T11:59", 9), ("2026-03-10", 7), ("2026-03-09", 9)):
            values = {"price": Decimal(9), "sale_price": Decimal(7), "sale_ends": end}
            assert settle(values, NOW)["price"] == price
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_usual_price_of_a_row_stays_beside_its_sale() -> None:
    values = {"price": Decimal(9), "sale_price": Decimal(7), "list_price": Decimal(12)}
    assert settle(values, NOW) == {"price": Decimal(7), "list_price": Decimal(12)}


@pytest.mark.parametrize(("listed", "stays"), [(10, True), (9, False), (8, False)])
def test_a_list_price_is_above_the_price(listed: int, stays: bool) -> None:
    settled = settle({"price": Decimal(9), "list_price": Decimal(listed)}, NOW)
    assert settled["list_price"] == (listed if stays else None)


def test_a_sale_price_that_is_not_lower_is_no_sale() -> None:
    assert settle({"price": Decimal(9), "sale_price": Decimal(9)}, NOW) == {"price": Decimal(9), "list_price": None}


@pytest.mark.parametrize(
    ("values", "states_sales", "cleared"),
    [
        ({"price": Decimal(9)}, True, True),
        ({"price": Decimal(9)}, False, False),
        ({"price": Decimal(9), "sale_price": None}, False, True),
        ({"price": Decimal(9), "list_price": None}, False, True),
        ({"price": Decimal(9), "sale_price": Decimal(7), "sale_ends": "2026-03-09"}, False, True),
        ({"price": Decimal(9), "sale_price": Decimal(7)}, True, False),
    ],
)
def test_a_row_or_file_that_tells_of_sales_ends_one_by_having_none(
    values: dict[str, Any], states_sales: bool, cleared: bool
) -> None:
    settled = settle(values, NOW, states_sales=states_sales)
    assert ("list_price" in settled and settled["list_price"] is None) is cleared


@pytest.mark.parametrize(
    ("period", "price"),
    [
        ("2026-03-10T12:00+0000/2026-03-11T00:00+0000", 7),
        ("2026-03-01/2026-03-10", 7),
        ("2026-03-01/2026-03-09", 9),
        ("2026-03-10T12:01Z/2026-03-11", 9),
        (" / ", 7),
    ],
)
def test_the_dates_of_a_sale_in_one_field(period: str, price: int) -> None:
    values = {"price": Decimal(9), "sale_price": Decimal(7), "sale_dates": period}
    assert settle(values, NOW)["price"] == price


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        ({"availability": "in stock"}, False),
        ({"availability": "out of stock"}, False),
        ({"availability": "in stock", "quantity": 4}, None),
        ({"quantity": 4}, None),
        ({}, None),
    ],
)
def test_stock_in_words_alone_is_not_counted(given: dict[str, Any], counted: bool | None) -> None:
    assert settle(given, NOW).get("stock_counted") is counted


@pytest.mark.parametrize(
    ("given", "quantity"),
    [
        ({"availability": "in stock"}, 1),
        ({"availability": "In_Stock", "quantity": 4}, 4),
        ({"availability": "https://schema.org/PreOrder"}, 1),
        ({"availability": "out of stock"}, 0),
        ({"availability": "SoldOut", "quantity": 4}, 0),
        ({"quantity": 4}, 4),
        ({}, None),
    ],
)
def test_availability_becomes_a_quantity(given: dict[str, Any], quantity: int | None) -> None:
    assert settle(given, NOW).get("quantity") == quantity


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"availability": "maybe"}, "availability"),
        ({"price": Decimal(9), "sale_price": "cheap"}, "sale_price"),
        ({"price": Decimal(9), "sale_price": Decimal(7), "sale_ends": "soon"}, "sale_ends"),
        ({"price": Decimal(9), "sale_price": Decimal(7), "sale_dates": "soon"}, "sale_dates"),
    ],
)
def test_what_cannot_be_read_names_its_field(values: dict[str, Any], field: str) -> None:
    with pytest.raises(UnreadableOffer) as refused:
        settle(values, NOW)
    assert refused.value.field == field
