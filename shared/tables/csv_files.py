"""The records of a CSV; its separator and decimal mark, given or detected.

A record's number is its first line in the file, the first line being 1.
"""

import codecs
import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from shared.errors import InvalidRequest
from shared.tables.money import split_price
from shared.tables.text_files import MAX_RECORD_BYTES, encoding_label, open_text
from shared.tables.values import UNKNOWN, find_decimals

# how much may be read again after quotes that never close, beyond eight times the file
WASTED_BYTES: Final = 33_554_432
SEPARATORS: Final = (",", ";", "\t", "|")
_SEPARATOR_NAMES: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
# Excel's own first line names the separator; a program that fills rows up may have added some
_SEP_LINE: Final = re.compile(r'"?sep=(.)"?[,;\t|]*', re.IGNORECASE)
_JSON: Final = re.compile(r'\s*(?:\{\s*"|\[\s*(?:\{|$))')


@dataclass(frozen=True)
class TextOptions:
    """Options of a text table. None: detected in the table."""

    separator: str | None = None
    encoding: str | None = None
    decimal: str | None = None


# codecs of Python that turn text into other text, in time that grows with its square
_NO_CHARSETS: Final = frozenset(("idna", "punycode", "unicode-escape", "raw-unicode-escape", "utf-7"))


def text_options(separator: str | None, encoding: str | None, decimal: str | None) -> TextOptions:
    """Check the options as a caller writes them. Raises InvalidRequest, naming the option."""
    if separator:
        separator = _SEPARATOR_NAMES.get(separator.lower(), separator)
        if len(separator) != 1 or separator.isalnum() or separator in '"\r\n\0':
            raise InvalidRequest("separator: write one character such as ; or |, or the word tab.")
    if encoding:
        try:
            encoding = codecs.lookup(encoding.strip()).name
            if encoding in _NO_CHARSETS:
                raise LookupError(encoding)
            " ".encode(encoding)
        except (LookupError, ValueError, UnicodeError):
            raise InvalidRequest(
                f"encoding: {encoding[:100]!r} is not a known text encoding; write utf-8, windows-1252, utf-16, …"
            ) from None
    if decimal and decimal not in (".", ","):
        raise InvalidRequest("decimal: write . or , (the decimal mark of the file's numbers).")
    return TextOptions(separator or None, encoding or None, decimal or None)


class _Lines:
    """Numbered lines that can be put back: a record whose quote never closes must not swallow the rows after it."""

    def __init__(self, lines: Iterable[bytes], first: int) -> None:
        self._lines = iter(lines)
        self._back: list[bytes] = []
        self.number = first - 1
        self._budget = WASTED_BYTES

    def take(self) -> bytes | None:
        if self._back:
            line: bytes | None = self._back.pop()
        else:
            line = next(self._lines, None)
            self._budget += 8 * len(line or b"")
        if line is not None:
            self.number += 1
        return line

    def put_back(self, lines: list[bytes]) -> None:
        """Return lines to be read again. Raises InvalidRequest when most of the work is reading again."""
        self._budget -= sum(map(len, lines))
        if self._budget < 0:
            raise InvalidRequest(f"The CSV has too many quotes that are not closed; one is in line {self.number}.")
        self._back.extend(reversed(lines))
        self.number -= len(lines)


def _decoded(line: bytes, encoding: str) -> str | None:
    try:
        return line.decode(encoding)
    except UnicodeError:
        return None


def _is_open(text: str, separator: str, *, is_open: bool) -> bool:
    """Return whether a quoted cell goes on after this line. A quote opens a cell only where the cell begins.

    Raises ValueError where a closing quote is followed by more text: no further line can mend that.
    """
    place = 0
    if not is_open:
        if text.startswith('"'):
            place = 1
        elif (begin := text.find(separator + '"')) >= 0:
            place = begin + 2
        else:
            return False
    while (place := text.find('"', place)) >= 0:
        if text.startswith('""', place):
            # a doubled quote is a quote inside the cell
            place += 2
            continue
        after = text[place + 1 : place + 2]
        if after not in (separator, "\r", "\n", ""):
            raise ValueError(f"after a cell's closing quote there must be {separator!r}, but there is {after!r}")
        begin = text.find(separator + '"', place + 1)
        if begin < 0:
            return False
        place = begin + 2
    return True


def _quoted_record(lines: _Lines, text: str, separator: str, encoding: str) -> tuple[list[str] | str, list[bytes]]:
    """Return the cells of a record that begins with this line, or why it has none, and the further lines it took."""
    texts, size = [text], len(text)
    taken: list[bytes] = []
    try:
        is_open = _is_open(text, separator, is_open=False)
        while is_open:
            line = lines.take()
            if line is None:
                return "a quote is not closed", taken
            taken.append(line)
            size += len(line)
            if size > MAX_RECORD_BYTES:
                return f"is longer than {MAX_RECORD_BYTES} bytes: a quote is not closed", taken
            more = _decoded(line, encoding)
            if more is None:
                return "a quote is not closed", taken
            texts.append(more)
            is_open = _is_open(more, separator, is_open=True)
        # line ends inside a quoted cell are the cell's; the last one is the record's
        record = "".join(texts).rstrip("\r\n")
        return next(csv.reader([record], delimiter=separator, strict=True)), taken
    except (csv.Error, StopIteration, ValueError) as error:
        # over several lines the quote that closed belongs to another row
        return "a quote is not closed" if taken else f"is not valid CSV: {error}", taken


def _record(lines: _Lines, separator: str, encoding: str, written: str) -> tuple[int, list[str] | str] | None:
    """Return the first line's number and its cells, or why it has none; None at the end."""
    first = lines.take()
    while first is not None and not first.strip(b"\r\n "):
        first = lines.take()
    if first is None:
        return None
    row = lines.number
    if len(first) > MAX_RECORD_BYTES:
        return row, f"is longer than {MAX_RECORD_BYTES} bytes"
    text = _decoded(first, encoding)
    if text is None:
        return row, f"is not {encoding_label(written)}; give encoding if the file has another"
    if '"' not in text:
        # most lines: nothing to unquote
        return row, text.rstrip("\r\n").split(separator)
    cells, taken = _quoted_record(lines, text, separator, encoding)
    if isinstance(cells, str):
        lines.put_back(taken)
    return row, cells


def csv_records(
    source: Iterable[bytes],
    separator: str = ",",
    encoding: str = "utf-8",
    first: int = 1,
    written: str | None = None,
) -> Iterator[tuple[int, list[str] | str]]:
    """Yield each record's first line and its cells, or in their place why it has none. Blank lines are skipped.

    A quote that never closes costs its own line only. ``first`` is the number of the source's first line, ``written``
    the encoding of the file before it was converted.
    """
    lines = _Lines(source, first)
    while (record := _record(lines, separator, encoding, written or encoding)) is not None:
        yield record


@dataclass
class CsvFile:
    """A CSV whose header is read.

    header : the columns' names, without empty ones at the end.
    records : as ``csv_records`` yields them, of as many cells as the header; rows of empty cells only are left out.
    """

    header: list[str]
    records: Iterator[tuple[int, list[str] | str]]
    separator: str
    encoding: str
    options: TextOptions
    _sample: Sequence[bytes] = field(repr=False)
    _written: str

    def decimals(self, positions: Mapping[str, int]) -> dict[str, str | None]:
        """Return the decimal mark of each number column, by the columns' positions; None where the file shows none."""
        if self.options.decimal is not None:
            return dict.fromkeys(positions, self.options.decimal)
        records = [
            cells
            for _row, cells in islice(csv_records(self._sample, self.separator, self.encoding), 1, None)
            if not isinstance(cells, str)
        ]
        decimals = find_decimals(
            {
                name: [split_price(cells[place])[0].strip() for cells in records if place < len(cells)]
                for name, place in positions.items()
            }
        )
        if self.separator == ",":
            return decimals
        # where commas do not separate cells they may well be decimal marks; coordinates have many decimals anyway
        return {
            name: UNKNOWN if mark is None and name not in ("latitude", "longitude") else mark
            for name, mark in decimals.items()
        }

    def description(self, decimals: Mapping[str, str | None]) -> dict[str, str | None]:
        """Return how the file was read, for reports."""
        marks = {mark for mark in decimals.values() if mark}
        decimal = (
            min(marks, default=None)
            if len(marks) < 2
            else "; ".join(f"{name} {mark}" for name, mark in decimals.items() if mark)
        )
        return {"separator": self.separator, "encoding": encoding_label(self._written), "decimal": decimal}


def _even(records: Iterable[tuple[int, list[str] | str]], width: int) -> Iterator[tuple[int, list[str] | str]]:
    """Drop the empty cells at a row's end that the header lacks, and rows that are empty."""
    for row, cells in records:
        if isinstance(cells, str):
            yield row, cells
        elif len(cells) == width:
            if any(cells) and any(map(str.strip, cells)):
                yield row, cells
        elif not any(map(str.strip, cells)):
            continue
        elif len(cells) < width or any(map(str.strip, cells[width:])):
            yield row, f"has {len(cells)} cells where the header has {width}"
        else:
            yield row, cells[:width]


def _header(records: Iterator[tuple[int, list[str] | str]]) -> list[str] | str:
    """Take the records up to the first that is not empty, and return that one's cells; none where all are empty."""
    return next((cells for _row, cells in records if isinstance(cells, str) or any(map(str.strip, cells))), [])


def read_csv(blocks: Iterable[bytes], options: TextOptions, is_column: Callable[[str], bool]) -> CsvFile | None:
    """Open a CSV and read its header; None where the file is empty. ``is_column``: whether a column has this name.

    The separator is the one under which most of the header's cells are known columns. Raises InvalidRequest for a
    header that cannot be read.
    """
    text = open_text(blocks, options.encoding)
    separator, first = options.separator, 1
    lines, sample = text.lines, text.sample
    if sample and (named := _SEP_LINE.fullmatch((_decoded(sample[0], text.encoding) or "").strip(" \r\n"))):
        separator, first = separator or named[1], 2
        next(lines, None)
        sample = sample[1:]
    if separator is None:
        best = (-1, -1)
        for candidate in SEPARATORS:
            cells = _header(csv_records(sample, candidate, text.encoding))
            names = [] if isinstance(cells, str) else cells
            score = sum(is_column(name) for name in names), len(names)
            if score > best:
                separator, best = candidate, score
    assert separator is not None
    records = csv_records(lines, separator, text.encoding, first, text.written)
    cells = _header(records)
    if isinstance(cells, str):
        raise InvalidRequest(f"The CSV's header {cells}.")
    if cells and _JSON.match(cells[0]):
        raise InvalidRequest(
            "The file is JSON, not CSV; let its name end in .jsonl, give the format jsonl, or send it as "
            "application/x-ndjson."
        )
    if not cells:
        return None
    header = [name.strip() for name in cells]
    while header and not header[-1]:
        header.pop()
    return CsvFile(
        header,
        _even(records, len(header)),
        separator,
        text.encoding,
        options,
        sample,
        text.written,
    )
