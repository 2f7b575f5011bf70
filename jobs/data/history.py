"""A shop's events as arrays: what every algorithm and every split of the history starts from."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from jobs.models.neighbours import Matrix
from shared.storage.events import interactions

# Postgres counts microseconds from here
EPOCH = np.datetime64("2000-01-01T00:00:00", "us")


@dataclass(frozen=True)
class History:
    """Weighted events: parallel arrays of n_events, and the ids that their codes stand for, ascending.

    Attributes
    ----------
    user_ids : int64, shape (n_users,);  product_ids : int64, shape (n_items,)
    users, items : int32, shape (n_events,), positions in ``user_ids`` and ``product_ids``.
    weights : float32, shape (n_events,), above 0.
    times : datetime64[us] in UTC, shape (n_events,).
    """

    user_ids: NDArray[np.int64]
    product_ids: NDArray[np.int64]
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    weights: NDArray[np.float32]
    times: NDArray[np.datetime64]

    def __len__(self) -> int:
        return len(self.users)

    def user_items(self) -> Matrix:
        """Return the sum of each user's weights per item, shape (n_users, n_items)."""
        shape = (len(self.user_ids), len(self.product_ids))
        summed = sparse.coo_array((self.weights.astype(np.float64), (self.users, self.items)), shape=shape)
        return sparse.csr_array(summed)


def history_of(
    user_ids: NDArray[np.int64],
    product_ids: NDArray[np.int64],
    weights: NDArray[np.float32],
    times: NDArray[np.datetime64],
) -> History:
    """Return the History of events given by ids, all of shape (n_events,)."""
    known_users, users = np.unique(user_ids, return_inverse=True)
    known_items, items = np.unique(product_ids, return_inverse=True)
    return History(known_users, known_items, users.astype(np.int32), items.astype(np.int32), weights, times)


def load_history(lookback_days: int, all_history_below: int) -> History:
    """Read the last ``lookback_days`` days, or everything if the shop has fewer than ``all_history_below`` events."""
    since = datetime.now(UTC) - timedelta(days=lookback_days) if interactions.at_least(all_history_below) else None
    days = interactions.packed(since)

    def column(name: str, stored: str) -> NDArray[np.generic]:
        return np.frombuffer(b"".join(getattr(day, name) for day in days), dtype=stored)

    return history_of(
        column("user_ids", ">i8").astype(np.int64),
        column("product_ids", ">i8").astype(np.int64),
        column("weights", ">f4").astype(np.float32),
        EPOCH + column("times", ">i8").astype(np.int64).astype("timedelta64[us]"),
    )
