"""Histories as chunks of text cells, whatever file they are in: CSV, JSON lines or Parquet. For jobs: needs pandas.

A chunk is a frame of the columns of ``event_rows.COLUMNS`` that the file has, and its rows' numbers: the line of the
file, the first being 1 (a CSV's header), or the row of a Parquet file, from 1.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.data.event_rows import COLUMNS, REQUIRED
from shared.clients import sources
from shared.domain.feeds import csv_records
from shared.errors import InvalidRequest

ALIASES: Final = {"item_id": "external_id"}


@dataclass
class Chunk:
    """Rows as text cells with their numbers, and rows that were not even rows."""

    rows: pd.DataFrame
    numbers: npt.NDArray[np.int64]
    broken: list[tuple[int, str]] = field(default_factory=list)


def columns(names: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return which columns of a file are read under which name, and those that are not.

    Raises InvalidRequest when one that is needed is missing or there twice.
    """
    read = {name: ALIASES.get(name.strip().lower(), name.strip().lower()) for name in names}
    known = {name: wanted for name, wanted in read.items() if wanted in COLUMNS}
    missing = [name for name in REQUIRED if name not in known.values()]
    if not {"product_id", "external_id"} & set(known.values()):
        missing.append("product_id or external_id")
    if missing:
        raise InvalidRequest(f"The source has no column {missing[0]}; it has: {', '.join(names)[:500]}.")
    if len(set(known.values())) < len(known) or len(set(names)) < len(names):
        raise InvalidRequest(f"The source names a column twice: {', '.join(names)[:500]}.")
    return known, [name for name in names if name not in known]


def _text(array: Any) -> Any:
    """Return a column as text cells, None where empty; a zoned time stays one."""
    kind = array.type
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            raise InvalidRequest(
                "The source's timestamps name no zone; write them in UTC, or as epoch numbers with timestamp_unit."
            )
        return pd.Series(array.to_pandas())
    if pa.types.is_struct(kind) or pa.types.is_map(kind):
        # nothing but the fields that a row has: a struct column has them all for every row
        objects = (dict(value) if isinstance(value, list) else value for value in array.to_pylist())
        kept = [
            None if value is None else {key: inner for key, inner in value.items() if inner is not None}
            for value in objects
        ]
        return pd.Series([orjson.dumps(value, default=str).decode() if value else None for value in kept], dtype="str")
    if pa.types.is_dictionary(kind):
        array = array.cast(kind.value_type)
    if pa.types.is_floating(array.type):
        # whole numbers with gaps are floats in many a file
        values = array.to_pandas()
        whole = values.notna() & (values % 1 == 0) & (values.abs() < 2**53)
        return pd.Series(
            [str(int(v)) if w else (None if pd.isna(v) else repr(v)) for v, w in zip(values, whole, strict=True)],
            dtype="str",
        )
    text = pd.Series(array.cast(pa.string()).to_pandas(), dtype="str")
    return text.where(text != "")


def _frame(batch: Any, known: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({wanted: _text(batch.column(name)) for name, wanted in known.items()})


def _read_csv(file: io.BufferedIOBase, chunk_rows: int) -> Iterator[tuple[list[str], Chunk]]:
    records = csv_records(sources.lines(file))
    _line, header = next(records, (0, []))
    if isinstance(header, str) or not header:
        raise InvalidRequest("The source's first line is no CSV header.")
    known, ignored = columns(header)
    positions = {wanted: header.index(name) for name, wanted in known.items()}
    while records_of_chunk := list(islice(records, chunk_rows)):
        broken: list[tuple[int, str]] = []
        numbers: list[int] = []
        rows: list[list[str]] = []
        for number, cells in records_of_chunk:
            if isinstance(cells, str):
                broken.append((number, cells))
            elif len(cells) != len(header):
                broken.append((number, f"has {len(cells)} cells where the header has {len(header)}"))
            else:
                numbers.append(number)
                rows.append(cells)
        by_column = list(zip(*rows, strict=True)) if rows else [()] * len(header)
        frame = pd.DataFrame(
            {name: pd.Series(by_column[at], dtype="str").str.strip() for name, at in positions.items()}
        )
        yield ignored, Chunk(frame.where(frame != ""), np.array(numbers, np.int64), broken)


def _cell(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, list)):
        return orjson.dumps(value).decode()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_json_lines(file: Any, chunk_rows: int) -> Iterator[tuple[list[str], Chunk]]:
    lines = enumerate(sources.lines(file), start=1)
    ignored: list[str] = []
    while True:
        cells: list[dict[str, str | None]] = []
        numbers: list[int] = []
        broken: list[tuple[int, str]] = []
        for number, line in lines:
            if not line.strip():
                continue
            try:
                values = orjson.loads(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
            except orjson.JSONDecodeError:
                values = None
            if isinstance(values, dict):
                named = {ALIASES.get(name, name): value for name, value in values.items()}
                ignored.extend(str(name) for name in named.keys() - set(COLUMNS) - set(ignored))
                cells.append({name: _cell(named.get(name)) for name in COLUMNS})
                numbers.append(number)
            else:
                broken.append((number, "is not a JSON object"))
            if len(cells) + len(broken) >= chunk_rows:
                break
        if not cells and not broken:
            return
        frame = pd.DataFrame(cells, columns=list(COLUMNS), dtype="str")
        yield ignored, Chunk(frame, np.array(numbers, np.int64), broken)


def _read_parquet(file: Any, chunk_rows: int) -> Iterator[tuple[list[str], Chunk]]:
    table = pq.ParquetFile(sources.seekable(file))
    known, ignored = columns(table.schema_arrow.names)
    row = 1
    for batch in table.iter_batches(batch_size=chunk_rows, columns=list(known)):
        yield ignored, Chunk(_frame(batch, known), np.arange(row, row + batch.num_rows))
        row += batch.num_rows


def chunks(file: io.BufferedIOBase, form: sources.Format, chunk_rows: int) -> Iterator[tuple[list[str], Chunk]]:
    """Yield ``(columns not read, chunk)``. Raises InvalidRequest when the file is not of this format."""
    read = {"csv": _read_csv, "jsonl": _read_json_lines, "parquet": _read_parquet}[form]
    try:
        yield from read(file, chunk_rows)
    except pa.ArrowInvalid as error:
        raise InvalidRequest(f"The source cannot be read as {form}: {str(error)[:300]}.") from None
