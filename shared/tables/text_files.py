"""Text files: their encoding, given or detected, and their lines as bytes."""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from shared.errors import InvalidRequest

# the longest record, in bytes: a name and a description of four-byte characters, and some
MAX_RECORD_BYTES: Final = 131_072
# the beginning of a file that encoding, line ends, separator and decimal mark are detected in
SAMPLE_BYTES: Final = 1_048_576
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
# how files begin that are not text, and the remedy
_NO_TEXT: Final = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive; save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook; save it as CSV"),
    (b"PAR1", "a Parquet file; let its name end in .parquet, or give the format parquet"),
    (b"\x1f\x8b", "compressed twice; unpack it"),
    *(
        (magic, f"{kind}, not a table; give the address of a CSV, XML, JSON or Parquet file")
        for magic, kind in (
            (b"\x89PNG", "a PNG image"),
            (b"\xff\xd8\xff", "a JPEG image"),
            (b"GIF8", "a GIF image"),
            (b"RIFF", "a WebP image or another media file"),
            (b"%PDF-", "a PDF document"),
            (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
            (b"Rar!\x1a", "a RAR archive"),
        )
    ),
)
# what a server answers in place of a file
_HTML: Final = re.compile(rb"\s*(?:<!--[^>]{0,500}-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_BREAKS: Final = re.compile(rb'"|\r+\n|\r|\n')
# how broken characters are marked while a file is converted: never valid in UTF-8, so their line is refused
_BROKEN: Final = "\udcff"
codecs.register_error("aisle-broken", lambda error: (_BROKEN, error.end))  # type: ignore[attr-defined]


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


def encoding_label(encoding: str) -> str:
    """Return an encoding's name for reports and messages."""
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
