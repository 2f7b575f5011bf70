"""Popularity: the same for everybody, and hard to beat where there is little history."""

import numpy as np

from jobs.models.blocks import checked, dense_neighbours, scaled, seen
from jobs.models.neighbours import AnyMatrix, Matrix, Neighbours
from jobs.models.topk import fill_top_k


def popularity_neighbours(user_items: Matrix, k: int) -> Neighbours:
    """Give every item the ``k`` items with the greatest sum of weights, other than itself; scores are their shares.

    ``user_items`` : shape (n_users, n_items), weights at least 0. Scores in [0, 1]: the sum, divided by the greatest.
    Raises ValueError if ``k`` is below 1 or a weight is negative or not finite.
    """
    matrix = checked(user_items, k)
    n_items = matrix.shape[1]
    if matrix.nnz == 0:
        return Neighbours.none(n_items, k)
    sums = np.bincount(matrix.indices, weights=matrix.data, minlength=n_items).astype(np.float32)
    # without itself an item's best are among these; where more tie, how many users have both decides
    least = np.partition(sums, n_items - k - 1)[n_items - k - 1] if n_items > k + 1 else np.float32(0)
    best = np.flatnonzero((sums >= least) & (sums > 0))
    if len(best) > 4 * k:
        return scaled(dense_neighbours(lambda first, last: np.tile(sums, (last - first, 1)), matrix, k))
    found = Neighbours.none(n_items, k)
    has: AnyMatrix = seen(matrix)
    together = (has.T.tocsr() @ has[:, best]).toarray()
    others = np.arange(n_items)[:, None] != best
    indptr = np.concatenate(([0], np.cumsum(others.sum(axis=1))))
    indices = np.broadcast_to(best, others.shape)[others]
    fill_top_k(found, 0, indptr, indices, sums[indices], together[others].astype(np.int32))
    return scaled(found)
