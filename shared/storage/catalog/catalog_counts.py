"""Product counts by category, price band, stock and tag. Triggers append rows; this module compacts them."""

from typing import Final

from shared.clients.postgres import Connection, execute

# Rows that changes may append before the tables are compacted again.
MAX_ADDED_ROWS: Final = 1000

COUNT_GROUPS: Final = "SELECT count_changed_groups()"
# A compacted table has one row per key. The function compact_catalog_counts takes the lock CATALOG_COUNTS.
COMPACT: Final = f"""
SELECT compact_catalog_counts()
WHERE (SELECT count(*) FROM catalog_counts) + (SELECT count(*) FROM catalog_group_counts)
    > (SELECT count(*) FROM (
           SELECT DISTINCT category_ids, price_step, in_stock, is_variant, tag FROM catalog_counts) AS keys)
      + (SELECT count(*) FROM (SELECT DISTINCT tag, cells FROM catalog_group_counts) AS keys) + {MAX_ADDED_ROWS}"""


def compact(connection: Connection) -> None:
    """Recount changed groups, and sum up rows of equal key if many were appended.

    Readers get the same counts before and after, only faster.
    """
    execute(connection, COUNT_GROUPS)
    execute(connection, COMPACT)
