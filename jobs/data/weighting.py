"""From a history to the matrix a model learns from: what an event type and its age count."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from jobs.data.history import History
from jobs.models.neighbours import Matrix

DAY = np.timedelta64(86_400_000_000, "us")


@dataclass(frozen=True)
class Weighting:
    """How events weigh in training.

    half_life_days : an event counts half after as long, None: for ever the same.
    weight_power : 0: all event types alike; 1: as they weigh.
    repeated : what several events of one pair count: the greatest of them ("once"), log2(1 + their sum) ("log"), or
        their sum ("sum").
    """

    half_life_days: float | None = None
    weight_power: float = 0.5
    repeated: str = "once"


def training_matrix(history: History, now: np.datetime64, weighting: Weighting) -> Matrix:
    """Return the weights, shape (n_users, n_items), the greatest single event's being about 1."""
    shape = (len(history.user_ids), len(history.product_ids))
    if len(history) == 0:
        return sparse.csr_array(shape, dtype=np.float64)
    weights = (history.weights.astype(np.float64) / history.weights.max()) ** weighting.weight_power
    if weighting.half_life_days is not None:
        ages = np.maximum((now - history.times) / DAY, 0)
        # not to nothing: the matrix keeps its entries
        weights *= 2.0 ** -np.minimum(ages / weighting.half_life_days, 20)
    keys = history.users.astype(np.int64) * shape[1] + history.items
    order = np.argsort(keys, kind="stable")
    keys, weights = keys[order], weights[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    if weighting.repeated == "log":
        values = np.log2(1.0 + np.add.reduceat(weights, first))
    elif weighting.repeated == "sum":
        values = np.add.reduceat(weights, first)
    else:
        values = np.maximum.reduceat(weights, first)
    return sparse.csr_array((values, (keys[first] // shape[1], keys[first] % shape[1])), shape=shape)
