"""Popularity: the same for everybody, and hard to beat where there is little history."""

import numpy as np

from jobs.models.blocks import checked, dense_neighbours, scaled
from jobs.models.neighbours import Matrix, Neighbours


def popularity_neighbours(user_items: Matrix, k: int) -> Neighbours:
    """Give every item the ``k`` items with the greatest sum of weights, other than itself; scores are their shares.

    ``user_items`` : shape (n_users, n_items), weights at least 0. Scores in [0, 1]: the sum, divided by the greatest.
    Raises ValueError if ``k`` is below 1 or a weight is negative or not finite.
    """
    matrix = checked(user_items, k)
    sums = np.bincount(matrix.indices, weights=matrix.data, minlength=matrix.shape[1]).astype(np.float32)
    return scaled(dense_neighbours(lambda first, last: np.tile(sums, (last - first, 1)), matrix, k))
