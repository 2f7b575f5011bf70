"""The training matrix of a history: how much an event's type, age and repetition count."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse

from jobs.data.history import DAY, History
from jobs.models.arrays import Matrix

# an event keeps at least 2^-20 of its weight: a weight of 0 would remove its pair from the matrix
MAX_HALVINGS: Final = 20


@dataclass(frozen=True)
class Weighting:
    """The parameters of the training matrix.

    Attributes
    ----------
    half_life_days : age at which an event counts half, in days; None if age does not matter.
    weight_power : power of the event type's weight, in [0, 1]; 0 treats all types alike.
    repeated : how several events of one user and item combine: their greatest weight ("once"), log2(1 + their sum)
        ("log"), or their sum ("sum").
    """

    half_life_days: float | None = None
    weight_power: float = 0.5
    repeated: str = "once"


def training_matrix(history: History, now: np.datetime64, weighting: Weighting) -> Matrix:
    """Return the weights of users and items, shape (n_users, n_items), with ages counted back from ``now``.

    A new event of the heaviest type weighs 1.
    """
    shape = (len(history.user_ids), len(history.product_ids))
    if len(history) == 0:
        return sparse.csr_array(shape, dtype=np.float64)
    weights = (history.weights.astype(np.float64) / history.weights.max()) ** weighting.weight_power
    if weighting.half_life_days is not None:
        ages = np.maximum((now - history.times) / DAY, 0)
        weights *= 2.0 ** -np.minimum(ages / weighting.half_life_days, MAX_HALVINGS)
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
