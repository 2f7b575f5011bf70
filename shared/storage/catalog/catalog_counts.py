"""The catalog counted by category, price band, stock and tag. Triggers add rows; here they are added up."""

from typing import Final

from shared.clients.postgres import Connection, execute

# Rows that changes may add to compact tables before they are compacted again.
MAX_ADDED_ROWS: Final = 1000

COUNT_GROUPS: Final = "SELECT count_changed_groups()"
# A compact table has one row per key. Function compact_catalog_counts has the lock CATALOG_COUNTS.
COMPACT: Final = f"""
SELECT compact_catalog_counts()
WHERE (SELECT count(*) FROM catalog_counts) + (SELECT count(*) FROM catalog_group_counts)
    > (SELECT count(*) FROM (
           SELECT DISTINCT category_ids, price_step, in_stock, is_variant, tag FROM catalog_counts) AS keys)
      + (SELECT count(*) FROM (SELECT DISTINCT tag, cells FROM catalog_group_counts) AS keys) + {MAX_ADDED_ROWS}"""


def compact(connection: Connection) -> None:
    """Count the groups that have changed, and add equal rows up if many were added.

    Readers see no difference but speed.
    """
    execute(connection, COUNT_GROUPS)
    execute(connection, COMPACT)
