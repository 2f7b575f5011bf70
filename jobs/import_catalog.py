"""Job, on demand: take a catalog feed (CSV, JSON lines or Parquet), row by row into products."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from pydantic import Field

from shared.clients import sources
from shared.domain.catalog import ProductWrite
from shared.domain.feeds import Row, RowError, read_csv, read_json_lines, validated
from shared.errors import InvalidRequest
from shared.job import Parameters, job, progress
from shared.storage.catalog import bulk_writes

MAX_ERRORS_REPORTED: Final = 1000
ROWS_PER_CHUNK: Final = 5000


class ImportCatalog(Parameters):
    """Where the feed is. Columns or fields are those of `POST /products`; ``external_id`` finds a known product."""

    source: str = Field(
        min_length=1, max_length=2000, description="gs://, s3://, https://; locally a file's absolute path too"
    )
    format: sources.Format | None = Field(None, description="csv, jsonl or parquet; by default by the name's ending")


def _plain(value: Any) -> Any:
    # binary fractions of a Parquet file: the shortest decimal that means the same
    return Decimal(repr(value)) if isinstance(value, float) else value


def _parquet(file: Any) -> Iterator[Row | list[RowError]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file)
        unknown = sorted(set(table.schema_arrow.names) - set(ProductWrite.model_fields))
        if unknown:
            raise InvalidRequest(
                f"The feed has the unknown column {unknown[0]!r}; known are: {', '.join(ProductWrite.model_fields)}."
            )
        row = 0
        for batch in table.iter_batches(batch_size=ROWS_PER_CHUNK):
            arrays = [
                array.cast(pa.string()).cast(pa.float64()) if pa.types.is_float32(array.type) else array
                for array in batch.columns
            ]
            for values in pa.RecordBatch.from_arrays(arrays, names=batch.schema.names).to_pylist():
                row += 1
                given = {name: value for name, value in values.items() if value is not None}
                if isinstance(given.get("tags"), str):
                    given["tags"] = [tag.strip() for tag in given["tags"].split("|") if tag.strip()]
                yield validated(row, {**given, "price": _plain(given["price"])} if "price" in given else given)
    except pa.ArrowInvalid as error:
        raise InvalidRequest(f"The source is not a readable Parquet file: {error}.") from None


def _read(file: Any, form: sources.Format) -> Iterator[Row | list[RowError]]:
    if form == "parquet":
        return _parquet(sources.seekable(file))
    return read_csv(sources.lines(file)) if form == "csv" else read_json_lines(sources.lines(file))


@job
def import_catalog(parameters: ImportCatalog) -> dict[str, Any]:
    """Create or change the products of a feed and report what became of its rows.

    Rows with errors are reported by their line and left out; the others load, in chunks that are transactions: run an
    interrupted import again, what is stored already is no change. Products that a feed no longer names stay.
    """
    counts = dict.fromkeys(("rows", "created", "updated", "unchanged", "rejected"), 0)
    errors: list[RowError] = []

    def note(found: list[RowError]) -> None:
        counts["rejected"] += 1
        errors.extend(found[: MAX_ERRORS_REPORTED - len(errors)])

    with sources.opened(parameters.source) as file:
        read = _read(file, sources.format_of(parameters.source, parameters.format))
        while chunk := list(islice(read, ROWS_PER_CHUNK)):
            good = []
            for one in chunk:
                if isinstance(one, list):
                    note(one)
                else:
                    good.append(one)
            done = bulk_writes.import_products([product for _row, product in good])
            for position, name, message in done.refused:
                note([RowError(good[position][0], name, message)])
            counts["rows"] += len(chunk)
            counts["created"] += len(done.created)
            counts["updated"] += len(done.updated)
            counts["unchanged"] += len(good) - len(done.created) - len(done.updated) - len(done.refused)
            progress("catalog rows imported", counts=dict(counts))
    return {
        "source": parameters.source,
        **counts,
        "errors": [{"row": error.row, "field": error.field, "message": error.message} for error in errors],
        "errors_truncated": len(errors) >= MAX_ERRORS_REPORTED,
    }
