"""Rows of a catalog (CSV, JSON lines, or values of Parquet) as products, or what is wrong with each row.

A row's number is its line in the file, the first being 1 (a CSV's header); a record over several lines goes by its
first. A CSV's empty cell is a value that is not given; its ``tags`` and ``further_categories`` are separated by ``|``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

from pydantic import ValidationError

from shared.domain.catalog import ProductWrite
from shared.errors import InvalidRequest
from shared.tables.columns import PRODUCT_COLUMNS, Columns, Resolved
from shared.tables.csv_files import TextOptions, read_csv
from shared.tables.json_lines import json_records
from shared.tables.reports import LeftOut
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

REQUIRED: Final = ("name", "price")
DECIMALS: Final = frozenset({"price", "list_price", "average_rating"})
WHOLE_NUMBERS: Final = ("quantity", "category_id", "review_count")
NUMBERS: Final = (*sorted(DECIMALS), *WHOLE_NUMBERS, "latitude", "longitude")
# of several values in a cell, separated by |
LISTS: Final = ("tags", "further_categories")
# 1.0: a column of 1 and 0 with gaps, as pandas writes it
_TRUTH: Final = dict.fromkeys(("true", "yes", "1", "1.0"), True) | dict.fromkeys(("false", "no", "0", "0.0"), False)


@dataclass(frozen=True)
class RowError:
    """Why a row was not taken; an empty ``field`` means the row."""

    row: int
    field: str
    message: str


Row = tuple[int, ProductWrite]
# the decimal mark of each number column that is text; None where it is not known
Decimals = Mapping[str, str | None]
TextFormat = Literal["csv", "jsonl"]


def _decimal(text: str, mark: str | None) -> object:
    number = number_text(text, mark)
    return text if number is None else Decimal(number)


def _integer(text: str, mark: str | None) -> object:
    number = whole_number(text, mark)
    return text if number is None else number


def _real(text: str, mark: str | None) -> object:
    number = number_text(text, mark)
    return text if number is None else float(number)


def _split_list(text: str) -> list[str]:
    return [value.strip() for value in text.split("|") if value.strip()]


# ids: a spreadsheet may have made a number of them
IDS: Final = ("external_id", "item_group_id")
TEXTS: Final = (*IDS, "name", "brand", "category", "currency")
_CELLS: Final[Mapping[str, Callable[[str, str | None], object]]] = {
    **dict.fromkeys(IDS, lambda text, _mark: id_text(text)),
    **dict.fromkeys(DECIMALS, _decimal),
    **dict.fromkeys(WHOLE_NUMBERS, _integer),
    "latitude": _real,
    "longitude": _real,
    "is_active": lambda text, _mark: _TRUTH.get(text.lower(), text),
    **dict.fromkeys(LISTS, lambda text, _mark: _split_list(text)),
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
    if name == "is_active" and type(value) in (int, float) and value in (0, 1):
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
            problems.append(RowError(row, name, message))
        return problems


@dataclass
class ProductRows:
    """A catalog as it is read: iterate over it for each row's product, or the errors of the row.

    ignored : the columns that were not read, by name, complete when the rows are.
    read_as : how a CSV was read: separator, encoding and decimal mark.
    """

    rows: Iterator[Row | list[RowError]] = field(default_factory=lambda: iter(()))
    ignored: set[str] = field(default_factory=set)
    read_as: dict[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Row | list[RowError]]:
        return self.rows


def check_header(columns: Columns, resolved: Resolved, names: Iterable[str]) -> None:
    """Raise InvalidRequest for columns that are unknown or missing: then no row could be right.

    With a mapping the caller has said which columns count, and unknown ones are ignored.
    """
    missing = [name for name in REQUIRED if name not in resolved.positions]
    if (resolved.unknown and not columns.mapping) or missing:
        # a header that is not split is a single unknown column
        wrong = (
            f"has the unknown column {resolved.unknown[0][:100]!r}"
            if resolved.unknown and not columns.mapping
            else f"has no column {missing[0]!r}"
        )
        raise InvalidRequest(
            f"The file's header {wrong}. Its columns are: {', '.join(names)[:500]}. Known are: "
            f"{', '.join(PRODUCT_COLUMNS)}. Name yours with columns=FIELD:NAME. If they are not split, give separator."
        )


def _read_csv(blocks: Iterable[bytes], columns: Columns, options: TextOptions, catalog: ProductRows) -> None:
    table = read_csv(blocks, options, columns.is_known)
    if table is None:
        return
    resolved = columns.resolve(table.header)
    check_header(columns, resolved, table.header)
    catalog.ignored.update(resolved.unknown, resolved.unused)
    decimals = table.decimals({name: place for name, place in resolved.positions.items() if name in NUMBERS})
    catalog.read_as.update(table.description(decimals))

    def rows() -> Iterator[Row | list[RowError]]:
        for row, cells in table.records:
            if isinstance(cells, str):
                yield [RowError(row, "", cells)]
                continue
            named = {name: cells[place] for name, place in resolved.positions.items()}
            yield validated(row, from_text(named, decimals), decimals)

    catalog.rows = rows()


def rename_fields(
    values: Mapping[str, Any], columns: Columns, known: dict[tuple[str, ...], Resolved], ignored: set[str]
) -> dict[str, Any] | str:
    """Return a row's values by field, or why its names are no good. ``known`` remembers sets of names across rows."""
    names = tuple(values)
    resolved = known.get(names)
    if resolved is None:
        try:
            resolved = columns.resolve(names, every_mapped=False)
        except InvalidRequest as error:
            return error.detail
        if len(known) < 1000:
            known[names] = resolved
    ignored.update(resolved.unused)
    listed = list(values.values())
    fields = {name: listed[place] for name, place in resolved.positions.items()}
    if columns.mapping:
        ignored.update(resolved.unknown)
        return fields
    # without a mapping a name that is not known is an error of its row
    return {**fields, **{name: values[name] for name in resolved.unknown}}


def _read_json_lines(blocks: Iterable[bytes], columns: Columns, options: TextOptions, catalog: ProductRows) -> None:
    known: dict[tuple[str, ...], Resolved] = {}

    def rows() -> Iterator[Row | list[RowError]]:
        for row, values in json_records(blocks, options.encoding, columns):
            fields = values if isinstance(values, str) else rename_fields(values, columns, known, catalog.ignored)
            yield validated(row, fields if isinstance(fields, str) else from_values(fields))

    catalog.rows = rows()


def read_products(
    blocks: Iterable[bytes], form: TextFormat, columns: Columns | None = None, options: TextOptions | None = None
) -> ProductRows:
    """Open a catalog of text. Raises InvalidRequest for a header that is wrong, and for options that do not fit it."""
    catalog = ProductRows()
    read = _read_csv if form == "csv" else _read_json_lines
    read(blocks, columns or Columns(PRODUCT_COLUMNS), options or TextOptions(), catalog)
    return catalog


@dataclass(frozen=True)
class Repeated:
    """A row that a later row of the same ``external_id`` replaced."""

    row: int
    external_id: str
    replaced_by: int


class Repetitions:
    """Finds rows that later rows of the same ``external_id`` replace, across the chunks of a file."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def add(self, rows: Iterable[Row]) -> list[Repeated]:
        """Take rows in the file's order and return those, of these and of earlier ones, that they replace."""
        repeated = []
        for row, product in rows:
            if product.external_id is not None:
                before = self._last.get(product.external_id)
                if before is not None:
                    repeated.append(Repeated(before, product.external_id, row))
                self._last[product.external_id] = row
        return repeated


def count_errors(left_out: LeftOut, errors: Iterable[RowError]) -> None:
    """Count a row under the first of its errors."""
    first = next(iter(errors))
    # a value in the message is not part of the reason
    reason = first.message.split("; got ")[0].replace(": ", ", ")
    left_out.add(first.row, f"{first.field} {reason}".strip())


@dataclass(frozen=True)
class Feed:
    """A catalog that is in memory: its good rows, and the errors of the others."""

    rows: list[Row]
    errors: list[RowError]
    left_out: LeftOut
    ignored: list[str]
    read_as: dict[str, Any]


def parse_products(
    body: bytes,
    form: TextFormat,
    columns: Columns | None = None,
    options: TextOptions | None = None,
    max_rows: int = 10_000,
) -> Feed:
    """Read a catalog in memory. Raises InvalidRequest for a wrong header or too many rows."""
    catalog = read_products((body,), form, columns, options)
    rows: list[Row] = []
    errors: list[RowError] = []
    left_out = LeftOut()
    for count, row in enumerate(catalog, start=1):
        if count > max_rows:
            raise InvalidRequest(f"The feed has more than {max_rows} rows; split it, or run the job import_catalog.")
        if isinstance(row, list):
            errors.extend(row)
            count_errors(left_out, row)
        else:
            rows.append(row)
    return Feed(rows, errors, left_out, sorted(catalog.ignored), catalog.read_as)
