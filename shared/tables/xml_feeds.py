"""Product feeds in XML: the items of RSS 2.0 and RDF, the entries of Atom, in Google Merchant Center's words.

Expat reads the stream without a tree. Entities that the file declares are refused, so that none can grow without bound
or name another file.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from xml.parsers import expat

from shared.errors import InvalidRequest
from shared.tables.text_files import MAX_RECORD_BYTES, refuse_html

# so many bytes are read at a time: a reader that has enough items stops there
BLOCK_BYTES: Final = 65_536
ITEMS: Final = frozenset(("item", "entry"))
_XML: Final = re.compile(
    rb"\s*(?:<\?xml|<!--|<(?:[a-z]+:)?(?:rss|feed|rdf|products|channel)\b|<!doctype)", re.IGNORECASE
)
# with a mark, or with a zero byte beside the angle bracket
_UTF16: Final = (b"\xff\xfe<\x00", b"\xfe\xff\x00<", b"<\x00?\x00", b"\x00<\x00?")

Item = dict[str, str]


def is_xml(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is XML."""
    return head.startswith(_UTF16) or _XML.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


class _Items:
    """Collects the direct children of each item; ``done`` has the complete ones."""

    def __init__(self, encoding: str | None) -> None:
        self.done: list[tuple[int, Item | str]] = []
        self.count = 0
        self._parser = parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._entity
        self._row = 0
        self._size = 0
        self._depth = 0
        self._item: Item | None = None
        self._names: set[str] = set()
        self._name = ""
        self._parts: list[str] = []

    def feed(self, data: bytes, *, is_last: bool) -> None:
        """Read on. Raises ExpatError where the file is not well-formed."""
        self._parser.Parse(data, is_last)

    @property
    def line(self) -> int:
        return int(self._parser.CurrentLineNumber)

    def _entity(self, name: str, *_declaration: Any) -> None:
        raise InvalidRequest(
            f"The XML declares the entity {name[:100]!r}; a feed with declarations of entities is refused. Write the "
            "text itself, or the predefined &amp; &lt; &gt; &quot; &apos;."
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        prefix, _, local = tag.rpartition(":")
        name = local.lower()
        if self._item is None:
            if name in ITEMS:
                self._item, self._names, self._row = {}, set(), self.line
                self._depth = self._size = 0
                self.count += 1
            return
        self._depth += 1
        if self._depth == 1:
            self._size += len(tag) + len(attributes.get("href", ""))
            if self._size > MAX_RECORD_BYTES:
                self._name = ""
                return
            # Google's words win over those of RSS and Atom: g:title over title
            is_googles = prefix.lower() == "g"
            is_taken = name in self._item and (not is_googles or f"g:{name}" in self._names)
            self._name = "" if is_taken else name
            if is_googles:
                self._names.add(f"g:{name}")
            self._parts = []
            if name == "link" and "href" in attributes:
                self._parts.append(attributes["href"])

    def _text(self, text: str) -> None:
        if self._item is not None and self._depth == 1 and self._name:
            self._size += len(text)
            if self._size <= MAX_RECORD_BYTES:
                self._parts.append(text)

    def _end(self, _tag: str) -> None:
        if self._item is None:
            return
        if self._depth == 1 and self._name:
            value = "".join(self._parts).strip()
            if value or self._name not in self._item:
                # an element of elements, such as g:shipping, is named in the report
                self._item[self._name] = value
            self._name = ""
        elif self._depth == 0:
            too_long = self._size > MAX_RECORD_BYTES
            self.done.append((self._row, f"is longer than {MAX_RECORD_BYTES} bytes" if too_long else self._item))
            self._item = None
        self._depth -= 1


def xml_items(blocks: Iterable[bytes], encoding: str | None = None) -> Iterator[tuple[int, Item | str]]:
    """Yield each item's first line and its texts by element, without prefixes, or in their place why it has none.

    A file that breaks off or is not well-formed yields its complete items, and then the place as a row without an item.
    Raises InvalidRequest for an HTML page, for declared entities, and for a file without items.
    """
    items = _Items(encoding)
    is_first = True
    try:
        for block in blocks:
            if is_first:
                refuse_html(block)
                is_first = False
            for begin in range(0, len(block), BLOCK_BYTES):
                items.feed(block[begin : begin + BLOCK_BYTES], is_last=False)
                yield from items.done
                items.done.clear()
        # Expat 2.6 and later put off a large token, and all that follows it, until the end
        items.feed(b"", is_last=True)
        yield from items.done
        items.done.clear()
    except (expat.ExpatError, LookupError, ValueError) as error:
        yield from items.done
        reason = expat.ErrorString(error.code) if isinstance(error, expat.ExpatError) else str(error)
        if not items.count:
            raise InvalidRequest(f"The file is not well-formed XML: {reason}, in line {items.line}.") from None
        yield items.line, f"the XML is not well-formed here: {reason}; rows from here on were not read"
        return
    if not items.count:
        raise InvalidRequest("The XML has no <item> (RSS) and no <entry> (Atom); send a product feed.")
