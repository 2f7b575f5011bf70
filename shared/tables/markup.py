"""HTML of descriptions as plain text: the text stays, tags go, entities become characters."""

import re
from html import unescape
from typing import Final

# elements that begin a new line
_BLOCKS_NAMES: Final = (
    "address article aside blockquote br dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 "
    "h5 h6 header hr li main nav ol p pre section table tbody tfoot thead tr ul"
)
_BLOCKS: Final = frozenset(_BLOCKS_NAMES.split())
_INLINE_NAMES: Final = (
    "a abbr acronym b bdi bdo big body button caption center cite code col colgroup del dfn em embed font "
    "head html i iframe img input ins kbd label link mark meta object param picture q s samp small source "
    "span strike strong sub sup td th time title tt u var video wbr"
)
_INLINE: Final = frozenset(_INLINE_NAMES.split())
# elements whose content is not text for readers
_DROPPED: Final = frozenset(["script", "style", "template", "noscript", "svg"])
# linear in the text: `[^<>]*` ends at the next tag
_TAG: Final = re.compile(r"<(?:!--|/?([a-zA-Z][a-zA-Z0-9]*(?:-[a-zA-Z0-9-]*)?)(?:[\s/][^<>]*)?>|![^<>]*>)")
_ENTITY: Final = re.compile(r"&(?:[a-zA-Z][a-zA-Z0-9]{1,30}|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});")
_SPACE: Final = re.compile(r"[^\S\n]+")
_BREAKS: Final = re.compile(r" *\n[ \n]*")


def _is_element(name: str) -> bool:
    return name in _BLOCKS or name in _INLINE or name in _DROPPED or "-" in name


def is_html(text: str) -> bool:
    """Return whether a text has a comment or a tag of HTML: `5 < 6 > 3` and `<unknown>` are none."""
    return "<" in text and any(
        match[0] == "<!--" or _is_element((match[1] or "").lower()) for match in _TAG.finditer(text)
    )


def plain_text(text: str) -> str:
    """Return a text without HTML: elements that begin a line begin one, scripts and styles are dropped.

    A text without tags keeps its lines, and only its entities become characters.
    """
    if not is_html(text):
        return unescape(text) if "&" in text and _ENTITY.search(text) else text
    # line ends and spaces of the source mean nothing in HTML
    source = " ".join(text.split())
    parts: list[str] = []
    place = 0
    while (match := _TAG.search(source, place)) is not None:
        parts.append(source[place : match.start()])
        place = match.end()
        name = (match[1] or "").lower()
        if match[0] == "<!--":
            end = source.find("-->", place)
            place = len(source) if end < 0 else end + 3
        elif name in _DROPPED and not match[0].startswith("</") and not match[0].endswith("/>"):
            close = re.compile(rf"</{name}\b[^<>]*>?", re.IGNORECASE).search(source, place)
            place = len(source) if close is None else close.end()
        elif name in _BLOCKS:
            parts.append("\n")
        elif name and not _is_element(name):
            parts.append(match[0])
        elif name in ("td", "th"):
            parts.append(" ")
    parts.append(source[place:])
    clean = _SPACE.sub(" ", unescape("".join(parts)))
    return _BREAKS.sub("\n", clean).strip()
