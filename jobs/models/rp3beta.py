"""RP3beta: a walk of three steps from item to user to item, with popular items held back."""

import numpy as np

from jobs.models.blocks import checked, scaled, sparse_neighbours
from jobs.models.neighbours import Matrix, Neighbours


def rp3beta_neighbours(
    user_items: Matrix, k: int, *, alpha: float = 1.0, beta: float = 0.4, min_co_occurrence: int = 2
) -> Neighbours:
    """Find where a random walk from each item ends after two steps (Paudel et al., TiiS 2017).

    s(i, j) = Σ_u p(u | i)^alpha · p(j | u)^alpha / weight(j)^beta, divided by the greatest of all: scores in [0, 1]
    that keep their ratios. Rows are where the walk starts: the neighbours of i are where i leads.

    ``user_items`` : shape (n_users, n_items), weights at least 0; ``alpha`` above 0, ``beta`` at least 0.
    Raises ValueError if one is out of range, or a weight is negative or not finite. Time and memory:
    ``sparse_neighbours``.
    """
    if alpha <= 0 or beta < 0:
        raise ValueError("alpha must be above 0 and beta at least 0")
    matrix = checked(user_items, k)
    of_users = np.bincount(np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)), matrix.data, matrix.shape[0])
    of_items = np.bincount(matrix.indices, weights=matrix.data, minlength=matrix.shape[1])
    # the walk through a user is the same in both directions, so half of it is each item's part
    matrix.data = (matrix.data / np.sqrt(np.repeat(of_users, np.diff(matrix.indptr)))) ** alpha
    weights = np.where(of_items > 0, of_items, 1.0)
    return scaled(
        sparse_neighbours(matrix, k, source=weights**-alpha, target=weights**-beta, min_co_occurrence=min_co_occurrence)
    )
