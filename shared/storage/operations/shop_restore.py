"""Store a shop's exported tables, part by part, in one transaction. shop_export.py is the counterpart."""

from io import BytesIO
from typing import Final

from shared.clients.postgres import Connection, copy_in, execute
from shared.storage.catalog.bulk_writes import STORED_PRICE
from shared.storage.operations.shop_tables import STAGE, Kind, ShopTable

SQL_TYPES: Final[dict[Kind, str]] = {
    "text": "text",
    "bigint": "bigint",
    "integer": "integer",
    "boolean": "boolean",
    "time": "timestamptz",
    "price": "numeric",
    "rating": "numeric",
    "double": "double precision",
    "date": "date",
    "uuid": "uuid",
}
COUNT: Final = f"SELECT count(*) FROM {STAGE}"
EMPTY: Final = f"TRUNCATE {STAGE} RESTART IDENTITY"
DROP: Final = f"DROP TABLE {STAGE}"


def create_stage(connection: Connection, table: ShopTable) -> None:
    """Create the staging table for a table's parts. ``position`` is the row's place in its file."""
    columns = ", ".join(f'"{column.name}" {SQL_TYPES[column.kind]}' for column in table.columns)
    execute(
        connection,
        f"CREATE TEMP TABLE {STAGE} (position bigint GENERATED ALWAYS AS IDENTITY, {columns}) ON COMMIT DROP",
    )


def copy_to_stage(connection: Connection, table: ShopTable, rows: BytesIO) -> int:
    """Copy a part, a CSV without a header, to the empty staging table, and return how many rows it has."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    copy_in(connection, f"COPY {STAGE} ({names}) FROM STDIN (FORMAT csv)", rows)
    if prices := [column.name for column in table.columns if column.kind == "price"]:
        # Parquet stores every price with three decimals.
        changes = ", ".join(f"{name} = {STORED_PRICE.format(name)}" for name in prices)
        execute(connection, f"UPDATE {STAGE} SET {changes}")
    return int(execute(connection, COUNT)[0][0])


def store_staged(connection: Connection, table: ShopTable) -> None:
    """Store the rows of the staging table and empty it for the next part."""
    for statement in table.restore:
        execute(connection, statement)
    execute(connection, EMPTY)


def drop_stage(connection: Connection) -> None:
    """Drop the staging table, so that the next table can create its own."""
    execute(connection, DROP)
