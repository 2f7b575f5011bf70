"""Text tables: their encoding, separator and decimal mark, given or detected; lines; the records of a CSV.

A record's number is its first line in the file, the first line being 1.
"""

import codecs
import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Final

from shared.errors import InvalidRequest
from shared.tables.money import split_price
from shared.tables.values import UNKNOWN, find_decimals

# the longest record, in bytes: a name and a description of four-byte characters, and some
MAX_RECORD_BYTES: Final = 131_072
# the beginning of a file that encoding, line ends, separator and decimal mark are detected in
SAMPLE_BYTES: Final = 1_048_576
# how much may be read again after quotes that never close, beyond eight times the file
WASTED_BYTES: Final = 33_554_432
SEPARATORS: Final = (",", ";", "\t", "|")
_SEPARATOR_NAMES: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
# the longer marks first: UTF-32's begins as UTF-16's does
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DIVIDED: Final = re.compile(rb"[\x80-\xff]{1,3}\Z")
_HIGH_BYTES: Final = re.compile(rb"[\x80-\xff]")
_UTF8_CHARACTERS: Final = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# Excel's own first line names the separator; a program that fills rows up may have added some
_SEP_LINE: Final = re.compile(r'"?sep=(.)"?[,;\t|]*', re.IGNORECASE)
# how files begin that are not text, and the remedy
_NO_TEXT: Final = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive; save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook; save it as CSV"),
    (b"PAR1", "a Parquet file; let its name end in .parquet, or give the format parquet"),
    (b"\x1f\x8b", "compressed twice; unpack it"),
)
# what a server answers in place of a file
_HTML: Final = re.compile(rb"\s*(?:<!--[^>]{0,500}-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_JSON: Final = re.compile(r'\s*(?:\{\s*"|\[\s*(?:\{|$))')
_BREAKS: Final = re.compile(rb'"|\r+\n|\r|\n')
# how broken characters are marked while a file is converted: never valid in UTF-8, so their line is refused
_BROKEN: Final = "\udcff"
codecs.register_error("aisle-broken", lambda error: (_BROKEN, error.end))  # type: ignore[attr-defined]


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


def refuse_html(head: bytes) -> None:
    """Raise InvalidRequest where a file begins as an HTML page does: a login or error page in place of a feed."""
    if _HTML.match(head[:4096].removeprefix(codecs.BOM_UTF8)):
        raise InvalidRequest(
            "The file is an HTML page, such as a login or an error page, not a feed. Open its address in a private "
            "window of a browser: it must offer the file without a login, or the feed needs its credentials."
        )


def find_encoding(head: bytes) -> str:
    """Return the encoding of a file that begins with these bytes and has no byte order mark."""
    even, odd = head[0:4096:2].count(0), head[1:4096:2].count(0)
    half = max(1, min(len(head), 4096) // 2)
    if max(even, odd) > 0.4 * half and min(even, odd) < 0.1 * half:
        return "utf-16-le" if odd > even else "utf-16-be"
    high = len(_HIGH_BYTES.findall(head))
    if not high:
        return "utf-8"
    characters = _UTF8_CHARACTERS.findall(head)
    # a file in UTF-8 may have broken lines; one in windows-1252 has UTF-8's sequences by chance only
    stray = high - sum(map(len, characters))
    return "utf-8" if len(characters) >= stray else "cp1252"


def _label(encoding: str) -> str:
    return {"utf-8": "UTF-8", "cp1252": "windows-1252"}.get(encoding, encoding)


def _transcoded(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("aisle-broken")
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", True).encode("utf-8", "surrogatepass")


def _line_end(head: bytes) -> bytes:
    """Return the byte that ends the lines: the first break outside quotes. Excel for Mac writes LF within cells."""
    is_quoted = False
    for match in _BREAKS.finditer(head):
        if match[0] == b'"':
            is_quoted = not is_quoted
        elif not is_quoted:
            return b"\r" if match[0] == b"\r" else b"\n"
    return b"\r" if b"\r" in head and b"\n" not in head else b"\n"


def split_lines(blocks: Iterable[bytes], end: bytes) -> Iterator[bytes]:
    """Yield lines with their ends. One that is longer than MAX_RECORD_BYTES is cut: its reader refuses it."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(end)
        for line in lines:
            yield line[: MAX_RECORD_BYTES + 1] + end
        rest = rest[: MAX_RECORD_BYTES + 1]
    if rest:
        yield rest


@dataclass
class TextFile:
    """A text file as lines of bytes in ``encoding``.

    sample : the file's first lines, which ``lines`` yields too.
    written : the encoding of the file itself, before it was converted to one whose line ends are single bytes.
    """

    encoding: str
    lines: Iterator[bytes]
    sample: list[bytes]
    written: str


def open_text(blocks: Iterable[bytes], encoding: str | None = None) -> TextFile:
    """Return a file's lines. A byte order mark decides on the encoding, then ``encoding``, then the file's content.

    Raises InvalidRequest for a workbook and other files that are not text.
    """
    source = iter(blocks)
    head = b""
    # a byte more than the sample: whether it is cut
    while len(head) <= SAMPLE_BYTES and (block := next(source, None)) is not None:
        head += block
    for begin, what in _NO_TEXT:
        if head.startswith(begin):
            raise InvalidRequest(f"The file is {what}.")
    refuse_html(head)
    rest = chain((head,), source)
    marked = next(((mark, name) for mark, name in _MARKS if head.startswith(mark)), None)
    if marked is not None:
        # tools that each add a mark write more than one
        while head.startswith(marked[0]):
            head = head.removeprefix(marked[0])
        rest = chain((head,), source)
        encoding = marked[1]
    is_cut = len(head) > SAMPLE_BYTES
    begin = head[:SAMPLE_BYTES]
    # a character that the cut divides is no evidence
    chosen = encoding or find_encoding(_DIVIDED.sub(b"", begin) if is_cut else begin)
    if chosen in ("utf-16", "utf-32"):
        # Python's codecs refuse such a file without its mark
        found = find_encoding(begin)
        chosen = found if found.startswith(chosen) else f"{chosen}-le"
    if chosen.startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
        # their line ends are not single bytes
        return replace(open_text(_transcoded(rest, chosen), "utf-8"), written=chosen)
    end = _line_end(begin)
    sample = list(split_lines((begin,), end))
    if is_cut and len(sample) > 1:
        # nor is half a line
        sample.pop()
    plain = "utf-8" if chosen == "utf-8-sig" else chosen
    return TextFile(plain, split_lines(rest, end), sample, plain)


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
        return row, f"is not {_label(written)}; give encoding if the file has another"
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
        return {"separator": self.separator, "encoding": _label(self._written), "decimal": decimal}


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
