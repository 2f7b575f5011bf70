"""Catalogs from CSV, JSON lines or Parquet, by the rules of shared/tables/products.py. Parquet needs pyarrow."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from typing import Any, Final

from jobs.data.parquet_columns import ids, plain
from shared.clients import sources
from shared.errors import InvalidRequest
from shared.tables.csv_files import TextOptions
from shared.tables.offers import SALES
from shared.tables.presets import AISLE, Reading
from shared.tables.product_values import (
    DECIMALS,
    IDS,
    LISTS,
    NUMBERS,
    TRUTHS,
    Decimals,
    Row,
    RowError,
    finished,
    from_text,
    from_values,
)
from shared.tables.products import ProductRows, check_header, form_of, read_products
from shared.tables.values import find_decimals

ROWS_PER_BATCH: Final = 5000


def _plain(value: Any) -> Any:
    """Return a float as the shortest decimal with the same value, which is what was written. NaN is a missing value."""
    if not isinstance(value, float):
        return value
    return None if value != value else Decimal(repr(value))


def _values(row: dict[str, Any], decimals: Decimals) -> dict[str, Any]:
    """Return a row's values; columns of text are read like the cells of a CSV."""
    given = {
        name: value
        for name, value in row.items()
        # empty text counts as omitted, as in a CSV
        if value is not None and value == value and not (isinstance(value, str) and not value.strip())
    }
    text = {
        name: value
        for name, value in given.items()
        if isinstance(value, str) and name in (*NUMBERS, *IDS, *LISTS, *TRUTHS)
    }
    typed = from_values({name: value for name, value in given.items() if name not in text})
    for name in DECIMALS & typed.keys():
        typed[name] = _plain(typed[name])
    return typed | from_text(text, decimals)


def _open_parquet(file: io.BufferedIOBase, reading: Reading, options: TextOptions) -> ProductRows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def problem(error: Exception) -> InvalidRequest:
        return InvalidRequest(
            f"The source is not a readable Parquet file: {' '.join(str(error).split())[:300].rstrip('.')}."
        )

    try:
        table = pq.ParquetFile(sources.seekable(file))
    except (pa.ArrowException, OSError) as error:
        raise problem(error) from None
    if reading.preset not in (None, AISLE):
        raise InvalidRequest(f"preset: {reading.preset.name} is a text file; leave preset out for Parquet.")
    columns = reading.columns(AISLE)
    names = table.schema_arrow.names
    resolved = columns.resolve(names)
    check_header(AISLE, columns, resolved, names)
    fields = {names[place]: name for name, place in resolved.positions.items()}
    states_sales = not resolved.positions.keys().isdisjoint(SALES)

    def rows() -> Iterator[Row | list[RowError]]:
        row = 0
        now = datetime.now(UTC)
        try:
            for batch in table.iter_batches(batch_size=ROWS_PER_BATCH, columns=list(fields)):
                renamed = [fields[name] for name in batch.schema.names]
                arrays = [
                    ids(array) if name in IDS else plain(array)
                    for name, array in zip(renamed, batch.columns, strict=True)
                ]
                texts = {
                    name: [text for text in array.drop_null().to_pylist() if isinstance(text, str)]
                    for name, array in zip(renamed, arrays, strict=True)
                    if name in NUMBERS
                }
                texts = {name: cells for name, cells in texts.items() if cells}
                decimals = dict.fromkeys(texts, options.decimal) if options.decimal else find_decimals(texts)
                for values in pa.RecordBatch.from_arrays(arrays, names=renamed).to_pylist():
                    row += 1
                    given = _values(values, decimals)
                    if given:
                        yield finished(row, given, now, decimals, states_sales=states_sales)
        except (pa.ArrowException, OSError) as error:
            raise problem(error) from None

    return ProductRows(
        rows=rows(),
        columns={name: names[place] for name, place in resolved.positions.items()},
        ignored={*resolved.unknown, *resolved.unused},
    )


def open_products(
    file: io.BufferedIOBase,
    form: sources.Format | None,
    reading: Reading | None = None,
    options: TextOptions | None = None,
) -> ProductRows:
    """Open a catalog; without a ``form``, its first bytes decide.

    Raises InvalidRequest if the file is not of this format or its header is wrong.
    """
    reading, options = reading or Reading(), options or TextOptions()
    blocks = sources.blocks(file)
    if form is None:
        head = next(blocks, b"")
        if head.startswith(b"PAR1"):
            return _open_parquet(io.BytesIO(head + file.read()), reading, options)
        form, blocks = form_of(head), chain((head,), blocks)
    if form == "parquet":
        return _open_parquet(file, reading, options)
    return read_products(blocks, form, reading, options)
