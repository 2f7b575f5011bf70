"""Popularity: the same items for everybody, and hard to beat where there is little history."""

import numpy as np

from jobs.models.arrays import AnyMatrix, Matrix
from jobs.models.blocks import binarise, rank_rows, scale_scores, validate
from jobs.models.neighbours import Neighbours
from jobs.models.topk import fill_top_k


def popularity_neighbours(user_items: Matrix, k: int) -> Neighbours:
    """Give every item the ``k`` other items with the greatest sum of weights.

    Parameters
    ----------
    user_items : shape (n_users, n_items), weights at least 0.
    k : neighbours per item, at least 1.

    Returns
    -------
    Neighbours of shape (n_items, k); scores are the sums divided by the greatest, in [0, 1].

    Raises ValueError if ``k`` is below 1, or a weight is negative or not finite. Time: entries + n_items · k; memory:
    n_items · k, unless more than 4 · k items tie.
    """
    matrix = validate(user_items, k)
    n_items = matrix.shape[1]
    if matrix.nnz == 0:
        return Neighbours.none(n_items, k)
    sums = np.bincount(matrix.indices, weights=matrix.data, minlength=n_items).astype(np.float32)
    # the top k + 1 items contain the top k of every item; co-occurrence breaks ties, so all tied items are candidates
    least = np.partition(sums, n_items - k - 1)[n_items - k - 1] if n_items > k + 1 else np.float32(0)
    best = np.flatnonzero((sums >= least) & (sums > 0))
    if len(best) > 4 * k:
        return scale_scores(rank_rows(lambda first, last: np.tile(sums, (last - first, 1)), matrix, k))
    neighbours = Neighbours.none(n_items, k)
    by_user: AnyMatrix = binarise(matrix)
    counts = (by_user.T.tocsr() @ by_user[:, best]).toarray()
    is_other = np.arange(n_items)[:, None] != best
    indptr = np.concatenate(([0], np.cumsum(is_other.sum(axis=1))))
    indices = np.broadcast_to(best, is_other.shape)[is_other]
    fill_top_k(neighbours, 0, indptr, indices, sums[indices], counts[is_other].astype(np.int32))
    return scale_scores(neighbours)
