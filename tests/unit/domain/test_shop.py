"""Currencies of the shop: their decimals, and prices as a person reads them."""

from decimal import Decimal

import pytest

from shared.domain.shop import CURRENCIES, WITH_THREE_DECIMALS, WITHOUT_DECIMALS, decimals, rounded


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
