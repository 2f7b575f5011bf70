"""The catalog counted by category, price band, stock and tag. Triggers add rows; here they are added up."""

from typing import Final

from shared.clients.postgres import Connection, execute

# Rows that changes may add to a compact table before it is compacted again.
MAX_ADDED_ROWS: Final = 1000

# A compact table has one row per key. Function compact_catalog_counts has the lock CATALOG_COUNTS.
COMPACT: Final = f"""
SELECT compact_catalog_counts()
WHERE (SELECT count(*) FROM catalog_counts)
    > (SELECT count(*) FROM (SELECT DISTINCT category_id, band, in_stock, tag FROM catalog_counts) AS keys)
      + {MAX_ADDED_ROWS}"""


def compact(connection: Connection) -> None:
    """Add equal rows up if many were added. Readers see no difference but speed."""
    execute(connection, COMPACT)
