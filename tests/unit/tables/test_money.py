"""A price is an amount and, where the text says so, its currency."""

import pytest

from shared.domain.shop import CURRENCIES
from shared.tables.money import split_price
from shared.tables.products import parse_products


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("12,99 EUR", "12,99", "EUR"),
        ("1.299,00 €", "1.299,00", "EUR"),
        ("EUR 1 299.00", "1 299.00", "EUR"),
        ("19.99 usd", "19.99", "USD"),
        # several currencies have this sign
        ("$1,299.00", "1,299.00", None),
        ("$12.99 CAD", "12.99", "CAD"),
        ("US$ 5", "5", "USD"),
        ("12,- €", "12,", "EUR"),
        ("249 kr.", "249", None),
        ("12.99", "12.99", None),
        ("1,612.50 บาท", "1,612.50", "THB"),
        ("19,900원", "19,900", "KRW"),
        ("2,400円", "2,400", "JPY"),
        ("1 290 руб.", "1 290", "RUB"),
        ("Rp 150.000", "150.000", "IDR"),
        ("NT$590", "590", "TWD"),
        # with the marks of direction that a spreadsheet in Arabic writes
        ("د.ك.\u200f 1.250", "1.250", "KWD"),
        ("1.250 \u200fد.ك", "1.250", "KWD"),
        # several currencies have this word
        ("99元", "99", None),
        ("Rs. 499", "499", None),
    ],
)
def test_a_price_has_an_amount_and_a_currency(text: str, amount: str, currency: str | None) -> None:
    got = split_price(text)
    assert got == (amount, currency)


@pytest.mark.parametrize(
    "text", ["5 PCS", "5 ชิ้น", "1.250 د.ك USD", "Free", "€ 5 USD", "EUR", "-5 EUR", "12.99 EUR each", ""]
)
def test_other_text_comes_back_as_it_is(text: str) -> None:
    assert split_price(text) == (text, None)


def test_the_decimal_mark_is_found_beside_currencies() -> None:
    feed = parse_products("external_id;name;price\na;A;1.299,00 €\nb;B;1.299 €\nc;C;5 Stück\n".encode(), "csv")
    assert [(row[1].external_id, float(row[1].price)) for row in feed.rows] == [("a", 1299.0), ("b", 1299.0)]
    assert [(error.row, error.field) for error in feed.errors] == [(4, "price")]


def test_every_currency_that_a_shop_may_have_is_read_beside_a_price() -> None:
    assert {split_price(f"12.50 {code}") for code in CURRENCIES} == {("12.50", code) for code in CURRENCIES}
    # three letters that are no currency leave the text as it is
    assert split_price("12.50 KGS") == ("12.50", "KGS")
    assert split_price("12.50 KGM") == ("12.50 KGM", None)
