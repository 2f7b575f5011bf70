"""Reading a catalog feed (CSV or JSON lines): every good row, and why each of the others is not.

``row`` in a report is the line of the file, the first being 1 (a CSV's header); a record over several lines goes by
its first. A CSV's empty cell is a value not given, its ``tags`` are separated by ``|``.
"""

import codecs
import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import orjson
from pydantic import ValidationError

from shared.domain.catalog import ProductWrite
from shared.errors import InvalidRequest
from shared.validation import field_errors

# the longest record, in bytes: a name and a description of four-byte characters, and some
MAX_RECORD_BYTES: Final = 131_072
_TRUTH: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True)
class RowError:
    """Why a row was not taken; ``field`` is empty where the row as a whole is meant."""

    row: int
    field: str
    message: str


Row = tuple[int, ProductWrite]


def _decimal(text: str) -> object:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _integer(text: str) -> object:
    # not int(): it takes underscores and the digits of every script
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20 else text


def _real(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


_CELLS: Final[Mapping[str, Callable[[str], object]]] = {
    "price": _decimal,
    "quantity": _integer,
    "category_id": _integer,
    "latitude": _real,
    "longitude": _real,
    "is_active": lambda text: _TRUTH.get(text.lower(), text),
    "tags": lambda text: [tag.strip() for tag in text.split("|") if tag.strip()],
}


def from_text(cells: Mapping[str, str]) -> dict[str, Any]:
    """Return a row of text cells as typed values; what cannot be read stays text, for validation to name."""
    stripped = {name: cell.strip() for name, cell in cells.items()}
    return {name: _CELLS[name](cell) if name in _CELLS else cell for name, cell in stripped.items() if cell}


def validated(row: int, values: Any) -> Row | list[RowError]:
    """Return the product of one row, or what is wrong with it, field by field."""
    if not isinstance(values, dict):
        return [RowError(row, "", "must be a JSON object")]
    try:
        return row, ProductWrite.model_validate(values)
    except ValidationError as error:
        return [RowError(row, problem["field"], problem["message"]) for problem in field_errors(error)]


def _without_mark(lines: Iterable[bytes]) -> Iterator[bytes]:
    # spreadsheets put a byte order mark before the first cell
    for number, line in enumerate(lines):
        yield line if number else line.removeprefix(codecs.BOM_UTF8)


def _decoded(line: bytes) -> str | None:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None


def read_json_lines(lines: Iterable[bytes]) -> Iterator[Row | list[RowError]]:
    """Yield the product of each line, or its errors; blank lines are passed over."""
    for number, line in enumerate(_without_mark(lines), start=1):
        text = line.strip()
        if not text:
            continue
        if len(text) > MAX_RECORD_BYTES:
            yield [RowError(number, "", f"is longer than {MAX_RECORD_BYTES} bytes")]
            continue
        try:
            values = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            yield [RowError(number, "", f"is not valid JSON: {error.msg} at character {error.pos + 1}")]
            continue
        yield validated(number, values)


class _Lines:
    """Numbered lines that can be put back: a record whose quote never closes must not swallow the rows after it."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = _without_mark(lines)
        self._back: list[bytes] = []
        self.number = 0

    def take(self) -> bytes | None:
        line = self._back.pop() if self._back else next(self._lines, None)
        if line is not None:
            self.number += 1
        return line

    def put_back(self, lines: list[bytes]) -> None:
        self._back.extend(reversed(lines))
        self.number -= len(lines)


def _record(lines: _Lines) -> tuple[int, list[str] | str] | None:
    """Return the first line's number and its cells, or why it has none; None at the end."""
    first = lines.take()
    while first is not None and not first.strip():
        first = lines.take()
    if first is None:
        return None
    row, taken, size, quotes = lines.number, [first], len(first), first.count(b'"')
    if not quotes and size <= MAX_RECORD_BYTES:
        # most lines: nothing to unquote
        text = _decoded(first)
        return row, "is not UTF-8" if text is None else text.rstrip("\r\n").split(",")
    while quotes % 2 and size <= MAX_RECORD_BYTES:
        line = lines.take()
        if line is None:
            break
        taken.append(line)
        size += len(line)
        quotes += line.count(b'"')
    problem = f"is longer than {MAX_RECORD_BYTES} bytes" if size > MAX_RECORD_BYTES else "a quote is not closed"
    if quotes % 2 == 0 and size <= MAX_RECORD_BYTES:
        text = _decoded(b"".join(taken))
        if text is None:
            problem = "is not UTF-8"
        else:
            try:
                return row, next(csv.reader([text], strict=True))
            except (csv.Error, StopIteration) as error:
                problem = f"is not valid CSV: {error}"
    lines.put_back(taken[1:])
    return row, problem


def csv_records(source: Iterable[bytes]) -> Iterator[tuple[int, list[str] | str]]:
    """Yield each record's first line (from 1) and its cells, or in their place why it has none. Blank lines are none.

    A quote that never closes costs its own line only.
    """
    lines = _Lines(source)
    while (found := _record(lines)) is not None:
        yield found


def read_csv(source: Iterable[bytes]) -> Iterator[Row | list[RowError]]:
    """Yield the product of each record, or its errors.

    Raises InvalidRequest when the header does not name what can be written: then no row could be right.
    """
    records = csv_records(source)
    _row, cells = next(records, (0, []))
    if isinstance(cells, str):
        raise InvalidRequest(f"The CSV's header {cells}.")
    if not cells:
        return
    header = [cell.strip().lower() for cell in cells]
    unknown = [name for name in header if name not in ProductWrite.model_fields]
    missing = [name for name in ("name", "price") if name not in header]
    if unknown or missing or len(set(header)) < len(header):
        wrong = (
            f"has the unknown column {unknown[0]!r}"
            if unknown
            else f"has no column {missing[0]!r}"
            if missing
            else "names a column twice"
        )
        known = ", ".join(ProductWrite.model_fields)
        raise InvalidRequest(f"The CSV's header {wrong}; the first line must name columns out of: {known}.")
    for row, cells in records:
        if isinstance(cells, str):
            yield [RowError(row, "", cells)]
        elif len(cells) != len(header):
            yield [RowError(row, "", f"has {len(cells)} cells where the header has {len(header)}")]
        else:
            yield validated(row, from_text(dict(zip(header, cells, strict=True))))


@dataclass(frozen=True)
class Feed:
    """A feed read whole: its good rows, and the errors of the others."""

    rows: list[Row]
    errors: list[RowError]


def _collect(read: Iterator[Row | list[RowError]], max_rows: int) -> Feed:
    feed = Feed([], [])
    for count, one in enumerate(read, start=1):
        if count > max_rows:
            raise InvalidRequest(f"The feed has more than {max_rows} rows; split it, or run the job import_catalog.")
        if isinstance(one, list):
            feed.errors.extend(one)
        else:
            feed.rows.append(one)
    return feed


def parse_csv(body: bytes, max_rows: int = 10_000) -> Feed:
    """Read a CSV. Raises InvalidRequest for a header that is wrong or a feed that is too long."""
    return _collect(read_csv(body.splitlines(keepends=True)), max_rows)


def parse_json_lines(body: bytes, max_rows: int = 10_000) -> Feed:
    """Read JSON lines. Raises InvalidRequest for a feed that is too long."""
    return _collect(read_json_lines(body.splitlines()), max_rows)
