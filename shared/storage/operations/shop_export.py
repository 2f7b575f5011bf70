"""Read a shop's tables for an export, part by part, from one snapshot."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

from shared.clients.postgres import Connection, copy_out, execute
from shared.storage.operations.shop_tables import Kind, ShopTable

_KEYS: Final[dict[Kind, Callable[[str], Any]]] = {
    "bigint": int,
    "uuid": UUID,
    "time": lambda text: datetime.fromisoformat(text).astimezone(UTC).isoformat(),
    "date": date.fromisoformat,
}


def key_literal(kind: Kind, text: str) -> str:
    """Return a key as an SQL literal; COPY takes no parameters, so the text is parsed here. Raises ValueError."""
    cast = {"bigint": "bigint", "uuid": "uuid", "time": "timestamptz", "date": "date"}[kind]
    return f"'{_KEYS[kind](text)}'::{cast}"


def is_key(kind: Kind, text: str) -> bool:
    """Return whether a text is a valid key of this kind."""
    try:
        key_literal(kind, text)
    except (ValueError, OverflowError):
        return False
    return True


def _range(table: ShopTable, after: str | None, to: str | None) -> str:
    bounds = [table.where]
    if after is not None:
        bounds.append(f"t.{table.key} > {key_literal(table.key_kind, after)}")
    if to is not None:
        bounds.append(f"t.{table.key} <= {key_literal(table.key_kind, to)}")
    return " AND ".join(bounds)


def find_end(connection: Connection, table: ShopTable, after: str | None, rows: int) -> str | None:
    """Return the key of the last row of a part of ``rows`` rows after the key ``after``; None if fewer rows follow."""
    key = f"t.{table.key}"
    found = execute(
        connection,
        f"SELECT {key} FROM {table.base} t WHERE {_range(table, after, None)} ORDER BY {key} "
        f"OFFSET {int(rows) - 1} LIMIT 1",
    )
    if not found:
        return None
    value = found[0][0]
    return value.isoformat() if isinstance(value, date) else str(value)


def copy_part(connection: Connection, table: ShopTable, after: str | None, to: str | None, file: Any) -> int:
    """Write a part's rows to ``file`` as CSV without a header, in order, and return their number.

    The same rows produce the same bytes. Null is an empty cell, and an empty string is quoted.
    """
    columns = ", ".join(column.sql for column in table.columns)
    order = ", ".join(filter(None, (f"t.{table.key}", table.then)))
    return copy_out(
        connection,
        f"COPY (SELECT {columns} FROM {table.base} t {table.joins} WHERE {_range(table, after, to)} ORDER BY {order}) "
        "TO STDOUT (FORMAT csv)",
        file,
    )


def now(connection: Connection) -> datetime:
    """Return the time of the snapshot."""
    moment: datetime = execute(connection, "SELECT now()")[0][0]
    return moment
