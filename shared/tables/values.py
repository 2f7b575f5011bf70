"""Ids, numbers and event types, in every way in which the tools of shops write them."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from shared.domain.events import EventType
from shared.domain.text import canonical_name
from shared.errors import InvalidRequest

# 1001.0: pandas, Spark and Excel write whole numbers like this in columns with gaps; 1001,0 where commas are decimal
WHOLE_FLOAT_ID: Final = r"^(-?(?:0|[1-9][0-9]{0,17}))(?:\.0+|,0)$"
# ="0007": a formula that keeps Excel from reading an id as a number
FORMULA_ID: Final = r'^="([^"]*)"$'
# how tools write a value that is missing: SQL, Python, pandas, R, Excel, MySQL, JavaScript
MISSING: Final = frozenset(
    ("NULL", "Null", "null", "None", "NaN", "nan", "NaT", "<NA>", "NA", "#N/A", "\\N", "undefined")
)
# 4.00638E+12: what spreadsheets and floats leave of a long number
SHORTENED: Final = r"-?[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{2,3}"
SHORTENED_ID: Final = "is a number that has lost digits; write it as text"
# up to here a float is exact for every whole number
MAX_EXACT_FLOAT: Final = 2**53
_WHOLE_FLOAT_ID: Final = re.compile(WHOLE_FLOAT_ID)
_FORMULA_ID: Final = re.compile(FORMULA_ID)
_SHORTENED: Final = re.compile(SHORTENED)


def id_text(text: str) -> str:
    """Return an id without the surrounding space, a formula's ``=""`` and the ``.0`` that makes a whole number a float.

    Empty for NULL, NaN and other ways of writing a value that is missing.
    """
    text = text.strip()
    if text in MISSING:
        return ""
    match = _WHOLE_FLOAT_ID.match(text) or _FORMULA_ID.match(text)
    return match[1].strip() if match else text


def is_shortened(text: str) -> bool:
    """Return whether an id is a number that a spreadsheet or a float has shortened: other ids may look the same."""
    return _SHORTENED.fullmatch(text) is not None


def id_of(value: Any) -> str | None:
    """Return an id given as text or as a number; None where the value is empty.

    Raises ValueError for any other value, and for a number that may have lost digits.
    """
    if value is None:
        return None
    if isinstance(value, str):
        text = id_text(value)
        if is_shortened(text):
            raise ValueError(SHORTENED_ID)
        return text or None
    if isinstance(value, Decimal) and value.is_finite():
        return id_text(f"{value:f}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be text or a number")
    if isinstance(value, float):
        if value != value:
            return None
        if abs(value) >= MAX_EXACT_FLOAT:
            raise ValueError("is a number too large to be exact; write it as text")
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


# Numbers have ASCII digits and a decimal mark. Thousands may be grouped by the other mark, a space or an apostrophe.
_POINT: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_COMMA: Final = re.compile(r"[+-]?(?:[0-9]+,?[0-9]*|,[0-9]+)")
_SPACES: Final = " \u00a0\u202f\u2009'\u2019"
_GROUPED: Final = {
    mark: re.compile(rf"[+-]?[1-9][0-9]{{0,2}}([{other}{_SPACES}])[0-9]{{3}}(?:\1[0-9]{{3}})*(?:{escaped}[0-9]*)?")
    for mark, escaped, other in ((".", r"\.", ","), (",", ",", "."))
}
# 1,299 is 1299 or 1.299: nothing in the cell tells which
_AMBIGUOUS: Final = {
    mark: re.compile(rf"[+-]?[1-9][0-9]{{0,2}}{escaped}[0-9]{{3}}") for mark, escaped in ((".", r"\."), (",", ","))
}
# a decimal mark that may be a point or a comma
UNKNOWN: Final = ""
_WHOLE: Final = re.compile(r"([+-]?[0-9]{1,18})(?:\.0*)?")


def number_text(text: str, decimal: str | None = ".") -> str | None:
    """Return a number as Python writes it, such as ``1299.50`` for ``1.299,50``; None for other text.

    ``decimal`` is the file's decimal mark. None where it is not known but is most likely a point: then ``1,299`` is no
    number, since it may be 1299 or 1.299. ``UNKNOWN`` where either is likely: then ``1.299`` is no number either.
    """
    mark = decimal or "."
    if decimal == UNKNOWN and _AMBIGUOUS["."].fullmatch(text):
        return None
    if (_POINT if mark == "." else _COMMA).fullmatch(text):
        return text.replace(",", ".")
    grouped = _GROUPED[mark].fullmatch(text)
    if grouped is None or (not decimal and _AMBIGUOUS[","].fullmatch(text)):
        return None
    return text.replace(grouped[1], "").replace(mark, ".")


def whole_number(text: str, decimal: str | None = ".") -> int | None:
    """Return a whole number written as ``3``, ``3.0`` or ``1,000``; None for other text.

    Powers of ten (``1e2``) are refused: spreadsheets write them for numbers of which they dropped digits.
    """
    number = number_text(text, decimal)
    match = _WHOLE.fullmatch(number) if number is not None else None
    return int(match[1]) if match else None


def _shows(text: str, mark: str) -> bool:
    """Return whether a cell is a number under this mark and could be none under the other."""
    other = "," if mark == "." else "."
    return (
        mark in text
        and number_text(text, mark) is not None
        and (number_text(text, other) is None)
        and not _AMBIGUOUS[mark].fullmatch(text)
    ) or (text.count(other) >= 2 and _GROUPED[mark].fullmatch(text) is not None)


def _marks(cells: Iterable[str]) -> set[str]:
    """Return the decimal marks that number cells show."""
    marks: set[str] = set()
    for cell in cells:
        if "," in cell or "." in cell:
            marks.update(mark for mark in ".," if mark not in marks and _shows(cell, mark))
            if len(marks) == 2:
                break
    return marks


def find_decimals(columns: Mapping[str, Iterable[str]]) -> dict[str, str | None]:
    """Return the decimal mark of each number column.

    A column that shows no mark has the one that the others show. None where nothing shows one, or where the cells of
    a column contradict each other.
    """
    shown = {name: _marks(cells) for name, cells in columns.items()}
    all_marks = set().union(*shown.values())
    common = next(iter(all_marks)) if len(all_marks) == 1 else None
    return {name: common if not marks else (min(marks) if len(marks) == 1 else None) for name, marks in shown.items()}


# as name_key() writes them: Add-to-Cart, add_to_cart and addToCart are the same name
_EVENT_TYPES: Final[Mapping[EventType, str]] = {
    EventType.VIEW: "view views viewed pageview productview productviewed viewitem viewproduct itemview detailpageview "
    "viewcontent click clicked pv impression",
    EventType.ADD_TO_CART: "addtocart addedtocart cartadd cart cartaddition productadded addtobasket addtobag basket "
    "atc",
    EventType.PURCHASE: "purchase purchased purchasecomplete transaction order ordercompleted orderplaced buy bought "
    "sale conversion checkoutcompleted",
    EventType.WISHLIST: "wishlist addtowishlist productaddedtowishlist favorite favourite addtofavorites fav like "
    "bookmark",
    EventType.SEARCH: "search searched searchquery productssearched viewsearchresults",
    EventType.REMOVE_FROM_CART: "removefromcart removedfromcart cartremove productremoved removefrombasket",
    EventType.RECOMMENDATION_CLICK: "recommendationclick recommendationclicked",
    EventType.REFUND: "refund refunded orderrefunded orderreturned",
    EventType.CUSTOM: "custom",
}


def name_key(name: str) -> str:
    """Return a name in lower case without spaces, hyphens, underscores and dots, for comparison."""
    return re.sub(r"[\s_.\-]+", "", canonical_name(name).casefold())


EVENT_TYPE_KEYS: Final[Mapping[str, EventType]] = {
    name: kind for kind, names in _EVENT_TYPES.items() for name in names.split()
}


def event_type_of(text: str, mapping: Mapping[str, EventType]) -> EventType | None:
    """Return the event type that a file calls ``text``: by the caller's mapping, then by the usual names."""
    key = name_key(text)
    return mapping.get(key) or EVENT_TYPE_KEYS.get(key)


def parse_event_types(text: str | None) -> dict[str, EventType]:
    """Read ``look:view,kauf:purchase``: the file's name, then Aisle's. Raises InvalidRequest."""
    mapping: dict[str, EventType] = {}
    for pair in (text or "").split(","):
        if not pair.strip():
            continue
        name, separator, kind = pair.rpartition(":")
        if not separator or not name.strip() or kind.strip() not in set(EventType):
            known = ", ".join(EventType)
            raise InvalidRequest(
                f"event_types: write NAME:TYPE pairs, as in look:view,kauf:purchase; TYPE is one of {known}; "
                f"got {pair.strip()[:100]!r}."
            )
        mapping[name_key(name)] = EventType(kind.strip())
    return mapping
