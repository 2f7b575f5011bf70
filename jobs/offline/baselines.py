"""Baselines that need no model: the products that most users have bought, ever or recently."""

from typing import Final

import numpy as np

from jobs.data.history import DAY
from jobs.models.arrays import Float64Array, Int64Array, IntArray
from jobs.offline.metrics import CUTOFFS
from jobs.offline.recommender import NOT_FILLED
from jobs.offline.snapshot import Snapshot
from jobs.offline.split import RELEVANT_WEIGHT

K: Final = CUTOFFS[-1]
# Age in days at which a purchase counts half among the recently popular products.
RECENT_HALF_LIFE_DAYS: Final = 7.0


def recommend_popular(snapshot: Snapshot, *, new_only: bool, half_life_days: float | None = None) -> Int64Array:
    """Return the products that most users have added to the cart or bought, shape (n_rows, k), padded with −1.

    If there are no such events, all events count. ``new_only`` leaves out products that the user has met. With
    ``half_life_days``, each user is weighted by the age of their newest such event with the product: 1 now, 1/2 at that
    age.
    """
    history = snapshot.history
    is_relevant = history.weights >= RELEVANT_WEIGHT
    counted = is_relevant if is_relevant.any() else np.ones(len(history), np.bool_)
    users, items = history.users[counted], history.items[counted]
    if half_life_days is None:
        scores = count_users(users, items, snapshot.n_items).astype(np.float64)
    else:
        ages = np.maximum((snapshot.now - history.times[counted]) / DAY, 0)
        scores = _sum_newest(users, items, np.asarray(2.0 ** -(ages / half_life_days)), snapshot.n_items)
    scores = scores * snapshot.active
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > 0]
    excluded = snapshot.excluded("seen" if new_only else "nothing")
    answers = np.full((len(snapshot.users), K), NOT_FILLED, np.int64)
    for row in range(len(snapshot.users)):
        hidden = excluded.indices[excluded.indptr[row] : excluded.indptr[row + 1]]
        popular = order[: K + len(hidden)]
        popular = popular[~np.isin(popular, hidden)][:K]
        answers[row, : len(popular)] = popular
    return answers


def count_users(users: IntArray, items: IntArray, n_items: int) -> Int64Array:
    """Return the number of distinct users of each item, shape (n_items,), from parallel codes of users and items."""
    pairs = np.unique(users.astype(np.int64) * n_items + items)
    return np.bincount(pairs % n_items, minlength=n_items)


def _sum_newest(users: IntArray, items: IntArray, weights: Float64Array, n_items: int) -> Float64Array:
    """Return the sum over users of each item's greatest weight, shape (n_items,)."""
    pairs, pair_of_event = np.unique(users.astype(np.int64) * n_items + items, return_inverse=True)
    greatest = np.zeros(len(pairs))
    np.maximum.at(greatest, pair_of_event, weights)
    return np.asarray(np.bincount(pairs % n_items, weights=greatest, minlength=n_items), np.float64)
