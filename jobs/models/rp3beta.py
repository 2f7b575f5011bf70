"""RP3beta: a random walk from item to user to item, with popular items discounted."""

import numpy as np

from jobs.models.arrays import Float64Array, Matrix
from jobs.models.blocks import rank_co_occurring, scale_scores, validate
from jobs.models.neighbours import Neighbours


def rp3beta_neighbours(
    user_items: Matrix, k: int, *, alpha: float = 1.0, beta: float = 0.4, min_co_occurrence: int = 2
) -> Neighbours:
    """Find the items that a random walk of two steps from each item reaches most often (Paudel et al., TiiS 2017).

    s(i, j) = Σ_u p(u | i)^alpha · p(j | u)^alpha / weight(j)^beta, where the walk starts at i. All scores are divided
    by the greatest.

    Parameters
    ----------
    user_items : shape (n_users, n_items), weights at least 0.
    k : neighbours per item, at least 1.
    alpha : power of the transition probabilities, above 0.
    beta : discount of popular items, at least 0.
    min_co_occurrence : pairs with fewer common users are not neighbours.

    Returns
    -------
    Neighbours of shape (n_items, k); scores in [0, 1], which keep their ratios across items.

    Raises ValueError if a parameter is out of range, or a weight is negative or not finite. Time and memory:
    ``rank_co_occurring``.
    """
    if alpha <= 0 or beta < 0:
        raise ValueError("alpha must be above 0 and beta at least 0")
    matrix = validate(user_items, k)
    counts = np.diff(matrix.indptr)
    user_sums = np.bincount(np.repeat(np.arange(matrix.shape[0]), counts), matrix.data, matrix.shape[0])
    item_sums = np.bincount(matrix.indices, weights=matrix.data, minlength=matrix.shape[1]).astype(np.float64)
    matrix.data = walk_shares(matrix.data, np.repeat(user_sums, counts), alpha)
    source, target = item_factors(item_sums, alpha, beta)
    return scale_scores(rank_co_occurring(matrix, k, source=source, target=target, min_co_occurrence=min_co_occurrence))


def walk_shares(weights: Float64Array, user_sums: Float64Array, alpha: float) -> Float64Array:
    """Return each entry's factor in the walk; all arrays of shape (n_entries,).

    user_sums : the sum of weights of each entry's user.

    The walk through a user is symmetric, so each of its two entries is divided by the square root of the user's sum.
    """
    shares: Float64Array = (weights / np.sqrt(user_sums)) ** alpha
    return shares


def item_factors(item_sums: Float64Array, alpha: float, beta: float) -> tuple[Float64Array, Float64Array]:
    """Return each item's factors as the start and as the end of a walk, from its sum of weights."""
    weights = np.where(item_sums > 0, item_sums, 1.0)
    return weights**-alpha, weights**-beta
