"""The files of an exported shop: their list ``export.json``, and parts as CSV or Parquet. Needs pyarrow.

A part is first CSV without a header, as Postgres writes it, and is converted back to that when it is read, so that both
formats hold the same values.
"""

import hashlib
import io
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Annotated, Any, Final, Literal, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import InvalidRequest
from shared.storage.operations.shop_export import is_key
from shared.storage.operations.shop_tables import TABLES, Kind, ShopTable
from shared.validation import field_errors

Form = Literal["parquet", "csv"]
LIST: Final = "export.json"
# a part larger than this is held on disk instead of in memory
SPOOLED_BYTES: Final = 67_108_864
_TYPES: Final[dict[Kind, Any]] = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "boolean": pa.bool_(),
    "time": pa.timestamp("us", tz="UTC"),
    "price": pa.decimal128(18, 3),
    "rating": pa.decimal128(5, 2),
    "double": pa.float64(),
    "date": pa.date32(),
    "uuid": pa.string(),
}


_PART: Final = r"[a-z_]+-[0-9]{5}\.(?:csv|parquet)"


class Source(Protocol):
    """A folder to read from."""

    def names(self) -> list[str]:
        """Return the names of the folder's files."""

    def read(self, name: str) -> bytes:
        """Return a file's content."""


class Part(BaseModel):
    """A file of consecutive rows of a table.

    after, to : the rows have keys above ``after``, up to ``to``; None at the ends of the table.
    digest : of the rows.  file_digest : of the file.  Both are SHA-256.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=f"^{_PART}$")]
    rows: Annotated[int, Field(ge=0)]
    after: str | None
    to: str | None
    digest: str
    file_digest: str


class ShopRow(BaseModel):
    """The shop's settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    currency: str | None
    time_zone: str
    search_language: str | None
    unknown_products: Literal["reject", "stub"]


class Export(BaseModel):
    """The list of an export's files, and its progress.

    as_of : the time of the snapshot of the last run.  complete : whether that run has finished.
    """

    model_config = ConfigDict(extra="forbid")

    # of the format of tables and columns
    version: Literal[1] = 1
    format: Form
    as_of: str
    complete: bool = False
    shop: ShopRow
    tables: dict[str, list[Part]] = {}

    def rows(self, table: str) -> int:
        """Return the number of a table's rows exported so far."""
        return sum(part.rows for part in self.tables.get(table, ()))


def read_list(folder: Source) -> Export | None:
    """Return the list of a folder's export; None if it has none. Raises InvalidRequest if it is damaged."""
    if LIST not in folder.names():
        return None
    try:
        export = Export.model_validate_json(folder.read(LIST))
    except ValidationError as error:
        problem = field_errors(error)[0]
        raise InvalidRequest(
            f"{LIST} is damaged, or of another release: {problem['field'] or 'it'} {problem['message']}."
        ) from None
    for table in TABLES:
        for key in {key for part in export.tables.get(table.name, ()) for key in (part.after, part.to)} - {None}:
            if not is_key(table.key_kind, str(key)):
                raise InvalidRequest(f"{LIST} is damaged: {table.name} has the key {str(key)[:100]!r}.")
    return export


def part_name(table: ShopTable, number: int, form: Form) -> str:
    """Return the name of a table's file; numbers begin at 1."""
    return f"{table.name}-{number:05d}.{form}"


def is_part(name: str) -> bool:
    """Return whether a file has the name of a part."""
    match = re.fullmatch(_PART, name)
    return match is not None and name.rpartition("-")[0] in {table.name for table in TABLES}


def header(table: ShopTable) -> bytes:
    """Return the first line of a table's CSV."""
    return ",".join(column.name for column in table.columns).encode() + b"\n"


class Rows:
    """A part's rows as CSV without a header, with their digest."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._digest = file, hashlib.sha256()

    def write(self, block: bytes) -> int:
        """Append bytes to the rows, and return their number."""
        self._digest.update(block)
        return self._file.write(block)

    @property
    def digest(self) -> str:
        """The digest of the bytes written so far."""
        return self._digest.hexdigest()

    def read(self) -> IO[bytes]:
        """Return the file, rewound to its beginning."""
        self._file.seek(0)
        return self._file


@contextmanager
def collected() -> Iterator[Rows]:
    """Yield an empty part."""
    with tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as file:
        yield Rows(file)


def as_file(table: ShopTable, rows: Rows, form: Form) -> bytes:
    """Return a part as a file of this format."""
    if form == "csv":
        return header(table) + rows.read().read()
    types = {column.name: _TYPES[column.kind] for column in table.columns}
    if rows.read().seek(0, os.SEEK_END) == 0:
        content = pa.schema(types.items()).empty_table()
    else:
        content = csv.read_csv(
            rows.read(),
            csv.ReadOptions(column_names=list(types)),
            csv.ParseOptions(newlines_in_values=True),
            csv.ConvertOptions(
                column_types=types,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["true"],
                false_values=["false"],
            ),
        )
    file = io.BytesIO()
    pq.write_table(content, file, compression="zstd")
    return file.getvalue()


def as_rows(table: ShopTable, part: Part, content: bytes, form: Form) -> io.BytesIO:
    """Return a file's rows as CSV without a header. Raises InvalidRequest if it is not the file that was listed."""
    if hashlib.sha256(content).hexdigest() != part.file_digest:
        raise InvalidRequest(f"{part.name} is not the file that {LIST} lists: it was changed, or is not complete.")
    if form == "csv":
        if not content.startswith(header(table)):
            raise InvalidRequest(f"{part.name} has different columns from those that this release exports.")
        return io.BytesIO(content[len(header(table)) :])
    rows = pq.read_table(io.BytesIO(content))
    if rows.schema.names != [column.name for column in table.columns]:
        raise InvalidRequest(f"{part.name} has different columns from those that this release exports.")
    # prices as text: the CSV writer does not support decimals
    for place, field in enumerate(rows.schema):
        if pa.types.is_decimal(field.type):
            rows = rows.set_column(place, field.name, rows[field.name].cast(pa.string()))
    stream = io.BytesIO()
    csv.write_csv(rows, stream, csv.WriteOptions(include_header=False))
    stream.seek(0)
    return stream


def check_complete(export: Export | None, names: list[str]) -> Export:
    """Return the export. Raises InvalidRequest if it is missing, incomplete, or lacks a table or a file."""
    if export is None:
        raise InvalidRequest(f"The folder has no {LIST}, so it is not an export; write one with ./aisle export FOLDER.")
    if not export.complete:
        raise InvalidRequest("The export is not complete; run ./aisle export FOLDER again, which continues it.")
    missing = [table.name for table in TABLES if not export.tables.get(table.name)]
    missing += sorted({part.name for parts in export.tables.values() for part in parts} - set(names))
    if missing:
        raise InvalidRequest(f"The export lacks {', '.join(missing[:5])}; copy the whole folder, or export again.")
    return export
