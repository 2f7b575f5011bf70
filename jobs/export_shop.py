"""Job, on demand: write the shop's catalog, events, orders and preferences to files that a new system loads."""

import hashlib
import time
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import Field

from jobs.data import shop_files
from jobs.data.shop_files import Export, Form, Part, ShopRow
from shared.clients.destinations import UNFINISHED, Folder
from shared.clients.postgres import Connection, snapshot
from shared.errors import InvalidRequest
from shared.job import Parameters, job, progress
from shared.storage.operations import shop, shop_export
from shared.storage.operations.shop_tables import TABLES, ShopTable

# Seconds between two writings of the list of files: after a run is killed, that much work is done again.
LIST_EVERY_S: Final = 2.0
# A part whose rows exceed this many times the rows per part is divided anew, as are the parts after it.
GROWTH: Final = 2


class ExportShop(Parameters):
    """What to write, and where.

    destination : folder, gs:// or s3://. It is empty, or holds an earlier or interrupted export of this shop.
    format : parquet or csv.
    rows_per_file : rows per file of a table with short rows; a file of products has a fifth as many.
    """

    destination: Annotated[str, Field(min_length=1, max_length=1000)]
    format: Form = "parquet"
    rows_per_file: Annotated[int, Field(ge=1, le=500_000)] = 50_000


@dataclass
class _Writer:
    """One run: the folder, the list so far, and the files left by an earlier run."""

    folder: Folder
    export: Export
    earlier: dict[str, list[Part]]
    names: set[str]
    rows_per_file: int
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("files", "files_kept", "rows"), 0))
    listed_at: float = float("-inf")

    def write_list(self) -> None:
        self.folder.write(shop_files.LIST, self.export.model_dump_json(indent=1).encode())
        self.listed_at = time.monotonic()

    def write_table(self, connection: Connection, table: ShopTable) -> None:
        """Write a table's parts. A part of an earlier run is kept if the table's rows in its range have not changed."""
        rows_per_part = max(1, self.rows_per_file // table.weight)
        earlier = self.earlier.get(table.name, [])
        parts = self.export.tables[table.name] = []
        after: str | None = None
        while True:
            known = earlier[len(parts)] if len(parts) < len(earlier) and earlier[len(parts)].after == after else None
            if table.is_single:
                to = None
            elif known is not None and known.to is not None:
                to = known.to
            else:
                to = shop_export.find_end(connection, table, after, rows_per_part)
            with shop_files.collected() as rows:
                count = shop_export.copy_part(connection, table, after, to, rows)
                if known is not None and count > GROWTH * rows_per_part and not table.is_single:
                    # divide the rest of the table into new parts
                    earlier = earlier[: len(parts)]
                    continue
                parts.append(self._part(table, len(parts) + 1, rows, count, after, to, known))
            self.counts["rows"] += count
            if time.monotonic() - self.listed_at > LIST_EVERY_S:
                self.write_list()
            progress("part written", table=table.name, rows=self.export.rows(table.name))
            if to is None:
                return
            after = to

    def _part(
        self,
        table: ShopTable,
        number: int,
        rows: shop_files.Rows,
        count: int,
        after: str | None,
        to: str | None,
        known: Part | None,
    ) -> Part:
        name = shop_files.part_name(table, number, self.export.format)
        if known is not None and (known.to, known.digest, known.name) == (to, rows.digest, name) and name in self.names:
            self.counts["files_kept"] += 1
            return known
        content = shop_files.as_file(table, rows, self.export.format)
        self.folder.write(name, content)
        self.counts["files"] += 1
        return Part(
            name=name,
            rows=count,
            after=after,
            to=to,
            digest=rows.digest,
            file_digest=hashlib.sha256(content).hexdigest(),
        )


def _earlier(folder: Folder, names: list[str], form: Form) -> Export | None:
    """Return the export that the folder holds. Raises InvalidRequest if it holds anything else."""
    earlier = shop_files.read_list(folder)
    # a run that was killed may leave an unfinished file
    if earlier is None and any(not name.endswith(UNFINISHED) for name in names):
        raise InvalidRequest(
            f"destination: {folder.address} has files but no {shop_files.LIST}; name an empty folder, or a new one."
        )
    if earlier is not None and earlier.format != form:
        raise InvalidRequest(
            f"destination: {folder.address} holds an export as {earlier.format}; "
            f"give format={earlier.format}, or name another folder."
        )
    return earlier


@job
def export_shop(parameters: ExportShop) -> dict[str, Any]:
    """Write the shop as files that are consistent: all show the snapshot of the run that completes the export.

    A run that finds an interrupted or an earlier export reads every part again and keeps the files whose rows have not
    changed. So an export that was killed can continue, and no file shows an older state than the others.
    """
    folder = Folder(parameters.destination)
    names = folder.names()
    earlier = _earlier(folder, names, parameters.format)
    with snapshot() as connection:
        moment = shop_export.now(connection)
        settings = shop.current_in(connection)
        export = Export(
            format=parameters.format,
            as_of=moment.isoformat(),
            shop=ShopRow(**{name: getattr(settings, name) for name in shop.FIELDS}),
            # parts of an earlier run, until this run reaches them
            tables=dict(earlier.tables) if earlier is not None else {},
        )
        writer = _Writer(folder, export, dict(export.tables), set(names), parameters.rows_per_file)
        writer.write_list()
        for table in TABLES:
            writer.write_table(connection, table)
    listed = {part.name for parts in export.tables.values() for part in parts}
    # delete files of an earlier run that divided the tables into more parts
    for name in names:
        if name not in listed and shop_files.is_part(name):
            folder.remove(name)
    export.complete = True
    writer.write_list()
    return {
        "destination": folder.address,
        "format": parameters.format,
        "as_of": export.as_of,
        **writer.counts,
        "tables": {table.name: export.rows(table.name) for table in TABLES},
    }
