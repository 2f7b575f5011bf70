"""A shop's events as arrays: the input of every training matrix and every split."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from jobs.models.arrays import Float32Array, Int32Array, Int64Array, Matrix, TimeArray
from shared.storage.events import interactions

# Postgres stores timestamps as microseconds since this time
EPOCH: Final = np.datetime64("2000-01-01T00:00:00", "us")
DAY: Final = np.timedelta64(86_400_000_000, "us")


@dataclass(frozen=True)
class History:
    """Weighted events as parallel arrays of codes, and the ids of users and products that these stand for.

    Attributes
    ----------
    user_ids : int64, shape (n_users,), ascending.
    product_ids : int64, shape (n_items,), ascending.
    users, items : int32, shape (n_events,), codes: positions in ``user_ids`` and ``product_ids``.
    weights : float32, shape (n_events,), above 0.
    times : datetime64[us] in UTC, shape (n_events,).
    """

    user_ids: Int64Array
    product_ids: Int64Array
    users: Int32Array
    items: Int32Array
    weights: Float32Array
    times: TimeArray

    def __len__(self) -> int:
        return len(self.users)

    def user_items(self) -> Matrix:
        """Return the sum of each user's weights for each item, shape (n_users, n_items)."""
        shape = (len(self.user_ids), len(self.product_ids))
        summed = sparse.coo_array((self.weights.astype(np.float64), (self.users, self.items)), shape=shape)
        return sparse.csr_array(summed)


def history_of(user_ids: Int64Array, product_ids: Int64Array, weights: Float32Array, times: TimeArray) -> History:
    """Return the History of events given by the ids of users and products; all arrays of shape (n_events,)."""
    distinct_users, users = np.unique(user_ids, return_inverse=True)
    distinct_products, items = np.unique(product_ids, return_inverse=True)
    return History(distinct_users, distinct_products, users.astype(np.int32), items.astype(np.int32), weights, times)


def history_start(lookback_days: int, all_history_below: int) -> datetime | None:
    """Return the time since which events are used; None (all events) if there are fewer than ``all_history_below``."""
    is_large = interactions.has_at_least(all_history_below)
    return datetime.now(UTC) - timedelta(days=lookback_days) if is_large else None


def load_history(lookback_days: int, all_history_below: int) -> History:
    """Read the events of the last ``lookback_days`` days, or all if the shop has fewer than ``all_history_below``."""
    return read_history(history_start(lookback_days, all_history_below))


def read_history(since: datetime | None, until: datetime | None = None, one_in: int = 1) -> History:
    """Read the events of a period, of all users or of one in ``one_in`` users.

    They are sorted by time, then user, product and weight: the database guarantees no order, and sums of floating-point
    numbers depend on it.
    """
    days = interactions.read_packed(since, until, one_in)

    def unpack(name: str, dtype: str) -> NDArray[np.generic]:
        return np.frombuffer(b"".join(getattr(day, name) for day in days), dtype=dtype)

    users, products = unpack("user_ids", ">i8").astype(np.int64), unpack("product_ids", ">i8").astype(np.int64)
    weights, times = unpack("weights", ">f4").astype(np.float32), unpack("times", ">i8").astype(np.int64)
    order = np.lexsort((weights, products, users, times))
    return history_of(users[order], products[order], weights[order], EPOCH + times[order].astype("timedelta64[us]"))
