"""A shop that the job export_shop wrote, stored in an empty system, in one transaction."""

from collections.abc import Callable
from typing import Final

from jobs.data import shop_files
from jobs.data.shop_files import Export, Source
from shared.clients.destinations import Folder
from shared.clients.postgres import execute, transaction
from shared.errors import InvalidRequest
from shared.storage.events import bulk_loading
from shared.storage.operations import shop, shop_restore
from shared.storage.operations.shop_tables import TABLES
from shared.storage.schema import advisory_locks

Report = Callable[[str], None]
ANALYZE: Final = "ANALYZE products, search_entries, users, events, orders"


def open_export(address: str) -> tuple[Folder, Export]:
    """Return a folder and the complete export in it. Raises InvalidRequest."""
    folder = Folder(address)
    names = folder.names()
    return folder, shop_files.check_complete(shop_files.read_list(folder), names)


def store(folder: Source, export: Export, report: Report) -> None:
    """Store an exported shop in a migrated, empty database, completely or not at all.

    Products and categories keep their numbers. Raises InvalidRequest for a file that is not the exported one.
    """
    with transaction(statement_timeout_s=0) as connection:
        advisory_locks.lock_until_commit(connection, advisory_locks.SHOP_LOAD)
        # before the products: their search documents are written in the shop's language
        shop.change(connection, export.shop.model_dump())
        for table in TABLES:
            shop_restore.create_stage(connection, table)
            for part in export.tables[table.name]:
                rows = shop_files.as_rows(table, part, folder.read(part.name), export.format)
                count = shop_restore.copy_to_stage(connection, table, rows)
                if count != part.rows:
                    raise InvalidRequest(f"{part.name} has {count} rows where the list has {part.rows}.")
                shop_restore.store_staged(connection, table)
            shop_restore.drop_stage(connection)
            report(f"{table.name}: {export.rows(table.name):,} rows")
        bulk_loading.analyze(connection)
        execute(connection, ANALYZE)
