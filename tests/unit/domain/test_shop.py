"""Currencies of the shop: their decimals, and prices as a person reads them."""

from decimal import Decimal

import pytest

from shared.domain.shop import (
    CURRENCIES,
    PRICE_STEPS,
    WITH_THREE_DECIMALS,
    WITHOUT_DECIMALS,
    decimals,
    price_bands,
    rounded,
)


@pytest.mark.parametrize(("currency", "expected"), [("JPY", 0), ("EUR", 2), ("KWD", 3), (None, 2), ("XXX", 2)])
def test_a_currency_has_the_decimals_of_iso_4217(currency: str | None, expected: int) -> None:
    assert decimals(currency) == expected


def test_every_exception_is_a_known_currency() -> None:
    assert WITHOUT_DECIMALS | WITH_THREE_DECIMALS <= CURRENCIES
    assert not WITHOUT_DECIMALS & WITH_THREE_DECIMALS


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("1499.5", "JPY", "1500"),
        ("12.345", "EUR", "12.35"),
        ("12.344", "EUR", "12.34"),
        ("-12.345", "EUR", "-12.35"),
        ("0.0005", "KWD", "0.001"),
        ("1", None, "1.00"),
    ],
)
def test_an_amount_is_rounded_half_away_from_zero(amount: str, currency: str | None, expected: str) -> None:
    assert rounded(Decimal(amount), currency) == Decimal(expected)


def test_prices_have_three_bands_for_each_power_of_ten_up_to_a_billion() -> None:
    assert PRICE_STEPS[:7] == (0, 1, 2.5, 5, 10, 25, 50)
    assert PRICE_STEPS[-4:] == (10**8, 2.5 * 10**8, 5 * 10**8, 10**9)
    assert len(PRICE_STEPS) == 1 + 27 + 1


@pytest.mark.parametrize(
    ("currency", "starts", "ends"),
    [
        ("EUR", (0, 1, 2.5), (0.99, 2.49, 4.99)),
        ("JPY", (0, 1, 3), (0, 2, 4)),
        ("KWD", (0, 1, 2.5), (0.999, 2.499, 4.999)),
    ],
)
def test_a_band_ends_one_unit_before_the_next(
    currency: str, starts: tuple[float, ...], ends: tuple[float, ...]
) -> None:
    bands = price_bands(currency)
    assert (bands.starts[:3], bands.ends[:3]) == (starts, ends)
    assert (bands.starts[-1], bands.ends[-1]) == (10**9, None)
