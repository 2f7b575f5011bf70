"""Event histories as chunks of text cells, from CSV, JSON lines or Parquet. For jobs: needs pandas and pyarrow.

A chunk is a frame with those columns of ``event_rows.COLUMNS`` that the file has, and the numbers of its rows: lines of
the file, from 1 (a CSV's header), or rows of a Parquet file, from 1.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.data.event_rows import COLUMNS, REQUIRED
from jobs.data.parquet_columns import ids, is_small_float, is_text, plain
from shared.clients import sources
from shared.errors import InvalidRequest
from shared.tables.columns import EVENT_COLUMNS, Columns, Resolved
from shared.tables.csv_files import TextOptions, read_csv
from shared.tables.json_lines import json_records
from shared.tables.values import MAX_EXACT_FLOAT, find_decimals, id_of, number_text

IDS: Final = ("user_id", "external_id", "product_id", "session_id", "event_id")


@dataclass
class Chunk:
    """Rows as text cells with their numbers, and the rows that could not be read, with the reasons."""

    rows: pd.DataFrame
    numbers: npt.NDArray[np.int64]
    broken: list[tuple[int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of rows that were read."""
        return len(self.numbers) + len(self.broken)


@dataclass
class EventFile:
    """A history that is being read.

    chunks : at most ``chunk_rows`` rows each.
    ignored : columns that were not read; complete once all chunks have been read.
    read_as : how a CSV was read: separator, encoding and decimal mark.
    """

    chunks: Iterator[Chunk] = field(default_factory=lambda: iter(()))
    ignored: set[str] = field(default_factory=set)
    read_as: dict[str, Any] = field(default_factory=dict)


def check_columns(columns: Columns, resolved: Resolved, names: list[str], fixed: set[str]) -> None:
    """Raise InvalidRequest if a column that every event needs is missing and not ``fixed`` by an option."""
    missing = [name for name in REQUIRED if name not in resolved.positions and name not in fixed]
    products = [name for name in ("product_id", "external_id") if name in columns.fields]
    if not set(products) & set(resolved.positions):
        missing.append(" or ".join(products))
    if missing:
        raise InvalidRequest(
            f"The source has no column {missing[0]}; it has: {', '.join(names)[:500]}. "
            f"Name yours with columns={missing[0].split()[-1]}:NAME; if the columns are not split, give separator."
        )


# times outside this range are refused anyway, and neither Python nor pandas can write them
_CALENDAR: Final = tuple(int(datetime(*day, tzinfo=UTC).timestamp()) for day in ((2, 1, 1), (9999, 12, 31)))
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6}


def _within_calendar(array: Any) -> Any:
    """Return times unchanged, or the nearest time in ``_CALENDAR`` for those outside it."""
    factor = _PER_SECOND.get(array.type.unit)
    if factor is None:
        # 64-bit nanoseconds end in 2262, within the calendar
        return array
    first, last = (pa.scalar(second * factor, pa.int64()) for second in _CALENDAR)
    numbers = pc.max_element_wise(array.cast(pa.int64()), first, skip_nulls=False)
    return pc.min_element_wise(numbers, last, skip_nulls=False).cast(array.type)


def _text(array: Any, name: str) -> Any:
    """Return a column as text cells, None where empty; times remain times."""
    if name == "timestamp" and is_small_float(array.type):
        raise InvalidRequest(f"The source's column for timestamp holds {array.type}, which is too imprecise for times.")
    array = ids(array) if name in IDS else plain(array)
    if pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("s" if pa.types.is_date32(array.type) else "ms"))
    kind = array.type
    if pa.types.is_timestamp(kind):
        return pd.Series(_within_calendar(array).to_pandas())
    if pa.types.is_boolean(kind) or (pa.types.is_nested(kind) and name != "metadata"):
        raise InvalidRequest(f"The source's column for {name} holds {kind}, not text, numbers or times.")
    if pa.types.is_nested(kind):
        # keep only the fields that a row has: in a struct column every row has all of them
        objects = (dict(value) if pa.types.is_map(kind) and value else value for value in array.to_pylist())
        given = [
            {key: inner for key, inner in value.items() if inner is not None} if isinstance(value, dict) else value
            for value in objects
        ]
        return pd.Series([orjson.dumps(value, default=str).decode() if value else None for value in given], dtype="str")
    if pa.types.is_floating(array.type):
        # many files store integers as floats because some are missing
        values = array.to_pandas()
        whole = values.notna() & (values % 1 == 0) & (values.abs() < MAX_EXACT_FLOAT)
        return pd.Series(
            [
                str(int(value)) if is_whole else (None if pd.isna(value) else repr(float(value)))
                for value, is_whole in zip(values, whole, strict=True)
            ],
            dtype="str",
        )
    text = pd.Series(array.cast(pa.string()).to_pandas(), dtype="str").str.strip()
    return text.where(text != "")


def _read_csv(
    file: io.BufferedIOBase, columns: Columns, options: TextOptions, fixed: set[str], chunk_rows: int
) -> EventFile:
    table = read_csv(sources.blocks(file), options, columns.is_known)
    if table is None:
        raise InvalidRequest("The source is empty: it has no CSV header.")
    resolved = columns.resolve(table.header)
    check_columns(columns, resolved, table.header, fixed)
    decimals = table.decimals({name: place for name, place in resolved.positions.items() if name == "quantity"})

    def chunks() -> Iterator[Chunk]:
        while records := list(islice(table.records, chunk_rows)):
            broken: list[tuple[int, str]] = []
            numbers: list[int] = []
            rows: list[list[str]] = []
            for number, cells in records:
                if isinstance(cells, str):
                    broken.append((number, cells))
                else:
                    numbers.append(number)
                    rows.append(cells)
            by_column = list(zip(*rows, strict=True)) if rows else [()] * len(table.header)
            frame = pd.DataFrame(
                {
                    name: pd.Series(by_column[place], dtype="str").str.strip()
                    for name, place in resolved.positions.items()
                }
            )
            frame = frame.where(frame != "")
            if "quantity" in frame:
                frame["quantity"] = _quantities(frame["quantity"], decimals["quantity"])
            yield Chunk(frame, np.array(numbers, np.int64), broken)

    return EventFile(chunks(), {*resolved.unknown, *resolved.unused}, table.description(decimals))


def _quantities(cells: "pd.Series[Any]", decimal: str | None) -> "pd.Series[Any]":
    """Return numbers in Python's notation; anything else is unchanged, to be refused later."""
    odd = cells.notna() & ~cells.str.fullmatch("[0-9]+", na=False)
    if odd.any():
        cells = cells.copy()
        cells[odd] = [number_text(text, decimal) or text for text in cells[odd]]
    return cells


def _cell(name: str, value: Any) -> str | None:
    """Return a JSON value as a text cell. Raises ValueError if the column cannot hold it."""
    if name in IDS:
        try:
            return id_of(value)
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, (dict, list)):
        return orjson.dumps(value).decode()
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_EXACT_FLOAT:
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_json_lines(
    file: io.BufferedIOBase, columns: Columns, options: TextOptions, _fixed: set[str], chunk_rows: int
) -> EventFile:
    opened = EventFile()
    known: dict[tuple[str, ...], Resolved] = {}

    def fields(values: dict[str, Any]) -> dict[str, str | None]:
        given = {name: value for name, value in values.items() if value is not None}
        names = tuple(given)
        resolved = known.get(names)
        if resolved is None:
            try:
                resolved = columns.resolve(names, every_mapped=False)
            except InvalidRequest as error:
                raise ValueError(error.detail) from None
            opened.ignored.update(resolved.unknown, resolved.unused)
            if len(known) < 1000:
                known[names] = resolved
        listed = list(given.values())
        return {name: _cell(name, listed[place]) for name, place in resolved.positions.items()}

    def chunks() -> Iterator[Chunk]:
        records = json_records(sources.blocks(file), options.encoding, columns)
        while read := list(islice(records, chunk_rows)):
            cells: list[dict[str, str | None]] = []
            numbers: list[int] = []
            broken: list[tuple[int, str]] = []
            for number, values in read:
                try:
                    if isinstance(values, str):
                        raise ValueError(values)
                    cells.append(fields(values))
                    numbers.append(number)
                except ValueError as error:
                    broken.append((number, str(error)))
            yield Chunk(pd.DataFrame(cells, columns=list(COLUMNS), dtype="str"), np.array(numbers, np.int64), broken)

    opened.chunks = chunks()
    return opened


def _read_parquet(
    file: io.BufferedIOBase, columns: Columns, options: TextOptions, fixed: set[str], chunk_rows: int
) -> EventFile:
    table = pq.ParquetFile(sources.seekable(file))
    names = table.schema_arrow.names
    resolved = columns.resolve(names)
    check_columns(columns, resolved, names, fixed)
    read = {name: names[place] for name, place in resolved.positions.items()}

    def chunks() -> Iterator[Chunk]:
        row = 1
        for batch in table.iter_batches(batch_size=chunk_rows, columns=list(read.values())):
            frame = pd.DataFrame({name: _text(batch.column(column), name) for name, column in read.items()})
            if "quantity" in frame and is_text(batch.column(read["quantity"]).type):
                found = find_decimals({"quantity": frame["quantity"].dropna()})["quantity"]
                frame["quantity"] = _quantities(frame["quantity"], options.decimal or found)
            numbers = np.arange(row, row + batch.num_rows)
            row += batch.num_rows
            full = frame.notna().any(axis=1).to_numpy()
            yield Chunk(frame[full], numbers[full])

    return EventFile(chunks(), {*resolved.unknown, *resolved.unused})


def open_events(
    file: io.BufferedIOBase,
    form: sources.Format,
    chunk_rows: int,
    *,
    columns: Columns | None = None,
    options: TextOptions | None = None,
    fixed: set[str] | None = None,
) -> EventFile:
    """Open a history.

    fixed : columns whose value an option gives for all rows.

    Raises InvalidRequest, possibly only while chunks are read, if the file is not of this format or lacks a column.
    """
    read = {"csv": _read_csv, "jsonl": _read_json_lines, "parquet": _read_parquet}[form]

    def guarded(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        try:
            yield from chunks
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(form, error) from None

    try:
        opened = read(file, columns or Columns(EVENT_COLUMNS), options or TextOptions(), fixed or set(), chunk_rows)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(form, error) from None
    opened.chunks = guarded(opened.chunks)
    return opened


def _unreadable(form: str, error: Exception) -> InvalidRequest:
    return InvalidRequest(f"The source cannot be read as {form}: {' '.join(str(error).split())[:300].rstrip('.')}.")
