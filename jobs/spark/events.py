"""Events as Parquet, the input of a training on Spark: jobs write it, since executors have access only to files."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa

from jobs.data.history import EPOCH, History
from jobs.models.arrays import Int64Array

EVENTS: Final = pa.schema(
    [
        pa.field("user_id", pa.int64()),
        pa.field("product_id", pa.int64()),
        pa.field("weight", pa.float32()),
        # microseconds since 2000-01-01 UTC, the EPOCH of jobs/data/history.py
        pa.field("time", pa.int64()),
    ]
)


def table_of(history: History) -> pa.Table:
    """Return a history's events as a table with the schema EVENTS."""
    times = (history.times - EPOCH).astype(np.int64)
    return pa.table(
        [history.user_ids[history.users], history.product_ids[history.items], history.weights, times], schema=EVENTS
    )


def history_of_users(tables: Iterable[pa.Table], product_ids: Int64Array) -> History:
    """Return the history of all events of some users, in the order of ``load_history``.

    product_ids : those of the shop's whole history, ascending, so that the codes of items are the same for all users.
    """
    table = pa.concat_tables([EVENTS.empty_table(), *tables])
    users, products, weights, times = (column.to_numpy() for column in table.columns)
    order = np.lexsort((weights, products, users, times))
    user_ids, codes = np.unique(users[order], return_inverse=True)
    return History(
        user_ids,
        product_ids,
        codes.astype(np.int32),
        np.searchsorted(product_ids, products[order]).astype(np.int32),
        weights[order],
        EPOCH + times[order].astype("timedelta64[us]"),
    )
