"""Pagination cursors: the sort key of a page's last row, after which the next page begins. No I/O.

A page by number shifts when rows before it are added or removed; a page by cursor does not. A cursor is opaque to
clients, and is valid for one list in one order.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import orjson

from shared.domain.events import in_utc

KeyType = Literal["boolean", "bigint", "numeric", "float8", "timestamptz", "uuid", "text"]
MAX_CURSOR_CHARACTERS: Final = 2048
MAX_INTEGER: Final = 2**63 - 1
INVALID: Final = "is not a cursor of this list in this order; start without it"


def encode(order: str, key: Sequence[Any]) -> str:
    """Return the cursor after a row with this sort key; ``order`` names the list and its order."""
    return base64.urlsafe_b64encode(orjson.dumps([order, *key])).decode().rstrip("=")


def decode(cursor: str, order: str, types: Sequence[KeyType]) -> list[Any]:
    """Return the sort key of a cursor. Raises ValueError unless it belongs to this list and order.

    Numbers other than integers are returned as text, unchanged.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        name, *key = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError):
        raise ValueError(INVALID) from None
    if name != order or len(key) != len(types):
        raise ValueError(INVALID)
    return [_value(value, kind) for value, kind in zip(key, types, strict=True)]


def _value(value: Any, kind: KeyType) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind == "bigint" and is_number and isinstance(value, int) and abs(value) <= MAX_INTEGER:
        return value
    if kind in ("numeric", "float8") and is_number:
        return repr(value)
    if isinstance(value, str):
        if kind == "text" and "\0" not in value:
            return value
        if kind == "float8" and value == "Infinity":
            return value
        try:
            if kind == "timestamptz" and (moment := datetime.fromisoformat(value)).tzinfo is not None:
                # PostgreSQL does not parse week dates, nor all the offsets that Python does.
                return in_utc(moment).isoformat()
            if kind == "uuid":
                return str(UUID(value))
        except (ValueError, OverflowError):
            pass
    raise ValueError(INVALID)


def after(columns: Sequence[tuple[str, bool, KeyType]]) -> str:
    """Return the SQL condition for rows after the key ``:after_0``, ``:after_1`` …

    A column is ``(expression, descends, type)``; the last one makes each key unique.
    """
    alternatives = []
    for position, (column, descends, kind) in enumerate(columns):
        equal = [
            f"{name} = cast(:after_{index} AS {other})" for index, (name, _, other) in enumerate(columns[:position])
        ]
        sign = "<" if descends else ">"
        alternatives.append(" AND ".join([*equal, f"{column} {sign} cast(:after_{position} AS {kind})"]))
    return "(" + " OR ".join(f"({alternative})" for alternative in alternatives) + ")"


def parameters(key: Sequence[Any]) -> dict[str, Any]:
    """Return the parameters of ``after``."""
    return {f"after_{position}": value for position, value in enumerate(key)}
