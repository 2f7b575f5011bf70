"""A row of a catalog as a product: texts or typed values become the product's fields, or what is wrong with them.

A CSV's empty cell is a value that is not given; its ``tags`` and ``further_categories`` are separated by ``|``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as with_options
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import orjson
from pydantic import ValidationError

from shared.domain.catalog import ProductWrite
from shared.domain.text import canonical_name
from shared.tables.markup import plain_text
from shared.tables.money import split_price
from shared.tables.offers import UnreadableOffer, settle
from shared.tables.values import (
    MAX_EXACT_FLOAT,
    MISSING,
    SHORTENED_ID,
    id_of,
    id_text,
    is_shortened,
    number_text,
    whole_number,
)
from shared.validation import field_errors

PRICES: Final = frozenset({"price", "sale_price", "list_price"})
DECIMALS: Final = PRICES | {"average_rating"}
WHOLE_NUMBERS: Final = ("quantity", "category_id", "review_count")
NUMBERS: Final = (*sorted(DECIMALS), *WHOLE_NUMBERS, "latitude", "longitude")
# of several values in a cell, separated by |
LISTS: Final = ("tags", "further_categories")
TRUTHS: Final = ("is_active", "stock_counted")
# 1.0: a column of 1 and 0 with gaps, as pandas writes it
_TRUTH: Final = dict.fromkeys(("true", "yes", "1", "1.0"), True) | dict.fromkeys(("false", "no", "0", "0.0"), False)


@dataclass(frozen=True)
class RowError:
    """Why a row was not taken; an empty ``field`` means the row. ``external_id`` is the row's, if it can be read."""

    row: int
    field: str
    message: str
    external_id: str | None = with_options(default=None, compare=False)


Row = tuple[int, ProductWrite]
# the decimal mark of each number column that is text; None where it is not known
Decimals = Mapping[str, str | None]


def _decimal(text: str, mark: str | None) -> object:
    number = number_text(split_price(text)[0], mark)
    return text if number is None else Decimal(number)


def _integer(text: str, mark: str | None) -> object:
    number = whole_number(text, mark)
    return text if number is None else number


def _real(text: str, mark: str | None) -> object:
    number = number_text(text, mark)
    return text if number is None else float(number)


def split_list(text: str) -> list[str]:
    """Return the values of a cell: those of a JSON array of texts, as exports write it, or those between ``|``."""
    if text.startswith('["'):
        try:
            values = orjson.loads(text)
        except orjson.JSONDecodeError:
            values = None
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            return [value.strip() for value in values if value.strip()]
    return [value.strip() for value in text.split("|") if value.strip()]


# ids: a spreadsheet may have made a number of them
IDS: Final = ("external_id", "item_group_id")
TEXTS: Final = (*IDS, "name", "variant_title", "brand", "category", "currency")
_CELLS: Final[Mapping[str, Callable[[str, str | None], object]]] = {
    **dict.fromkeys(IDS, lambda text, _mark: id_text(text)),
    **dict.fromkeys(DECIMALS, _decimal),
    **dict.fromkeys(WHOLE_NUMBERS, _integer),
    "latitude": _real,
    "longitude": _real,
    **dict.fromkeys(TRUTHS, lambda text, _mark: _TRUTH.get(text.lower(), text)),
    **dict.fromkeys(LISTS, lambda text, _mark: split_list(text)),
}


def from_text(cells: Mapping[str, str], decimals: Decimals) -> dict[str, Any]:
    """Return a row of text cells as typed values; what cannot be read stays text, for validation to name."""
    stripped = {name: cell.strip() for name, cell in cells.items()}
    return {
        name: _CELLS[name](cell, decimals.get(name)) if name in _CELLS else cell
        for name, cell in stripped.items()
        if cell and not (name in TEXTS and cell in MISSING)
    }


def _typed(name: str, value: Any) -> Any:
    """Return a value of JSON or Parquet as the field holds it: whole numbers with gaps are floats there."""
    is_whole = type(value) in (float, Decimal) and abs(value) < MAX_EXACT_FLOAT and value == value // 1
    if is_whole and name in (*WHOLE_NUMBERS, *TEXTS):
        value = int(value)
    if name in TRUTHS and type(value) in (int, float) and value in (0, 1):
        return bool(value)
    if name in TEXTS:
        if isinstance(value, str):
            return id_text(value) or value.strip() if name in IDS else value
        try:
            # titles and brands may be numbers too
            return id_of(value)
        except ValueError:
            return value
    if name == "tags" and isinstance(value, list):
        return [str(tag) if type(tag) is int else tag for tag in value]
    return value


def from_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of JSON or Parquet values as the fields hold them; what cannot be read stays, for validation.

    JSON and Parquet have a null of their own, so the text `null` is a text there, as it is for POST /products.
    """
    return {name: _typed(name, value) for name, value in values.items()}


_MESSAGES: Final = {
    "extra_forbidden": "is not a field of a product; leave it out, or name the fields with columns=FIELD:NAME",
    "missing": "is required",
}


def _number_message(name: str, text: str, decimals: Decimals) -> str:
    """Return why a text is not the number that the field needs, and what to do."""
    if name not in decimals:
        return f"must be a number, not text; got {text[:40]!r}"
    decimal = decimals[name]
    wanted = "a whole number such as 3" if name in WHOLE_NUMBERS else "a number such as 12.50"
    message = f"must be {wanted}; got {text[:40]!r}"
    if number_text(text, decimal) is not None or all(number_text(text, mark) is None for mark in ".,"):
        return message
    if not decimal:
        return message + ", and the column does not show its decimal mark: give decimal"
    return message + f", and the column's decimal mark is {decimal!r}: give decimal if it is not"


def _id_in(values: Mapping[str, Any]) -> str | None:
    external_id = values.get("external_id")
    return canonical_name(external_id) if isinstance(external_id, str) else None


def validated(row: int, values: Any, decimals: Decimals | None = None) -> Row | list[RowError]:
    """Return the product of one row, or what is wrong with it, field by field.

    ``decimals`` : of the fields whose numbers were written as text.
    """
    if isinstance(values, str):
        return [RowError(row, "", values)]
    for name in IDS:
        written = values.get(name)
        if isinstance(written, str) and is_shortened(written):
            return [RowError(row, name, f"{SHORTENED_ID}; got {written[:40]!r}")]
    try:
        return row, ProductWrite.model_validate(values)
    except ValidationError as error:
        problems = []
        for problem in field_errors(error):
            name = problem["field"]
            value = values.get(name)
            if isinstance(value, str) and name in NUMBERS:
                message = _number_message(name, value, decimals or {})
            else:
                message = _MESSAGES.get(problem["type"], problem["message"])
            problems.append(RowError(row, name, message, _id_in(values)))
        return problems


def finished(
    row: int,
    values: Mapping[str, Any],
    now: datetime,
    decimals: Decimals | None = None,
    *,
    states_sales: bool = False,
) -> Row | list[RowError]:
    """Return the product of a row's typed values, with its offer settled and its description as plain text.

    ``states_sales`` : the file says of each product whether it is on sale, so that a row without a sale ends it.
    """
    try:
        product = settle(dict(values), now, states_sales=states_sales)
    except UnreadableOffer as error:
        return [RowError(row, error.field, str(error), _id_in(values))]
    if isinstance(product.get("description"), str):
        product["description"] = plain_text(product["description"])
    return validated(row, product, decimals)


def from_fields(
    row: int, fields: Mapping[str, Any], now: datetime, decimals: Decimals, *, states_sales: bool = False
) -> Row | list[RowError]:
    """Return the product of a row whose values are texts; those that are not are typed already.

    ``states_sales`` : as for ``finished``.
    """
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    values = from_values({name: value for name, value in fields.items() if name not in texts})
    values |= from_text(texts, decimals)
    currencies = {split_price(texts[name])[1] for name in PRICES if name in texts} - {None}
    if len(currencies) > 1:
        named = ", ".join(sorted(map(str, currencies)))
        return [
            RowError(row, "price", f"must have the currency of the row's other prices; got {named}", _id_in(values))
        ]
    if currencies:
        values.setdefault("currency", currencies.pop())
    return finished(row, values, now, decimals, states_sales=states_sales)
