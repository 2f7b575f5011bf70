"""Prices as shops write them: an amount, with or without its currency."""

import re
from typing import Final

from shared.domain.shop import CURRENCIES

# None: several currencies have the sign, and it names none of them
_SIGNS: Final[dict[str, str | None]] = {
    "€": "EUR",
    "£": "GBP",
    "₹": "INR",
    "₩": "KRW",
    "₽": "RUB",
    "₺": "TRY",
    "₴": "UAH",
    "₫": "VND",
    "₪": "ILS",
    "₱": "PHP",
    "฿": "THB",
    "zł": "PLN",
    "Kč": "CZK",
    "Ft": "HUF",
    "Fr.": "CHF",
    "US$": "USD",
    "A$": "AUD",
    "C$": "CAD",
    "CA$": "CAD",
    "NZ$": "NZD",
    "HK$": "HKD",
    "S$": "SGD",
    "R$": "BRL",
    "$": None,
    "¥": None,
    "kr": None,
    "kr.": None,
    # words and abbreviations, as shops write them in their own language
    "บาท": "THB",
    "원": "KRW",
    "円": "JPY",
    "元": None,
    "руб": "RUB",
    "руб.": "RUB",
    "грн": "UAH",
    "грн.": "UAH",
    "Rp": "IDR",
    "RM": "MYR",
    "NT$": "TWD",
    "đ": "VND",
    "₸": "KZT",
    "₾": "GEL",
    "₦": "NGN",
    "Rs": None,
    "Rs.": None,
    "د.ك": "KWD",
    "د.ك.": "KWD",
    "د.إ": "AED",
    "د.إ.": "AED",
    "ر.س": "SAR",
    "ر.س.": "SAR",
    "ج.م": "EGP",
    "ج.م.": "EGP",
}
# they set the direction of the text around them and are no part of a price
_DIRECTION_MARKS: Final = dict.fromkeys(map(ord, "\u200e\u200f\u061c"))
_SIGN: Final = "|".join(re.escape(sign) for sign in sorted(_SIGNS, key=len, reverse=True))
_PRICE: Final = re.compile(
    rf"(?P<before>[A-Z]{{3}}|{_SIGN})?\s*(?P<amount>[0-9.,](?:[0-9.,' \u00a0\u202f\u2009\u2019]*[0-9.,])?)"
    rf"(?:[.,]?[-\u2013\u2014](?=\D*$))?\s*(?P<after>[A-Za-z]{{3}}|{_SIGN})?"
)


def _code(text: str) -> str | None:
    """Return the currency of a sign or a code; None where it names none. Raises KeyError for other text."""
    if text in _SIGNS:
        return _SIGNS[text]
    if (code := text.upper()) not in CURRENCIES:
        raise KeyError(text)
    return code


def split_price(text: str) -> tuple[str, str | None]:
    """Return the amount of a price and its currency (ISO 4217): ``12,99 EUR`` is ``12,99`` and ``EUR``.

    The currency is None where the text names none, or by a sign that several currencies have (``$``). A text that is no
    such price comes back as it is.
    """
    match = _PRICE.fullmatch(text.translate(_DIRECTION_MARKS).strip())
    if match is None or not (match["before"] or match["after"]):
        return text, None
    try:
        codes = {_code(part) for part in (match["before"], match["after"]) if part}
    except KeyError:
        return text, None
    # `$12.99 USD`: the sign agrees with the code
    codes = codes - {None} or {None}
    return (match["amount"].strip(), codes.pop()) if len(codes) == 1 else (text, None)
