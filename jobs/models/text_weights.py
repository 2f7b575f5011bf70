"""Cosine similarity after the term weightings of text retrieval: items are documents, their users are the terms."""

import numpy as np

from jobs.models.arrays import Float64Array, Matrix
from jobs.models.blocks import validate
from jobs.models.cosine import rank_by_cosine
from jobs.models.neighbours import Neighbours


def _user_idf(matrix: Matrix) -> Float64Array:
    """Return each user's inverse document frequency, shape (n_users,), above 0: users of many items count less."""
    return np.log1p(matrix.shape[1] / np.maximum(np.diff(matrix.indptr), 1))


def tfidf_neighbours(user_items: Matrix, k: int, *, min_co_occurrence: int = 2) -> Neighbours:
    """Find each item's ``k`` nearest by cosine of √weight · idf(user) (Salton and Buckley, 1988).

    Parameters
    ----------
    user_items : shape (n_users, n_items), weights at least 0.
    k : neighbours per item, at least 1.
    min_co_occurrence : pairs with fewer common users are not neighbours.

    Returns
    -------
    Neighbours of shape (n_items, k); scores are cosines, in [0, 1].

    Raises ValueError if ``k`` is below 1, or a weight is negative or not finite. Time and memory:
    ``rank_co_occurring``.
    """
    matrix = validate(user_items, k)
    matrix.data = np.sqrt(matrix.data) * np.repeat(_user_idf(matrix), np.diff(matrix.indptr))
    return rank_by_cosine(matrix, k, min_co_occurrence)


def bm25_neighbours(
    user_items: Matrix, k: int, *, k1: float = 100.0, b: float = 0.5, min_co_occurrence: int = 2
) -> Neighbours:
    """Find each item's ``k`` nearest by cosine of BM25 weights (Robertson and Zaragoza, 2009).

    Parameters
    ----------
    user_items : shape (n_users, n_items), weights at least 0.
    k : neighbours per item, at least 1.
    k1 : how slowly a weight saturates, above 0.
    b : how much popular items are discounted, in [0, 1].
    min_co_occurrence : pairs with fewer common users are not neighbours.

    Returns
    -------
    Neighbours of shape (n_items, k); scores are cosines, in [0, 1].

    Raises ValueError if a parameter is out of range, or a weight is negative or not finite. Time and memory:
    ``rank_co_occurring``.
    """
    if k1 <= 0 or not 0 <= b <= 1:
        raise ValueError("k1 must be above 0 and b in [0, 1]")
    matrix = validate(user_items, k)
    if matrix.nnz:
        lengths = np.bincount(matrix.indices, weights=matrix.data, minlength=matrix.shape[1])
        norms = k1 * (1.0 - b + b * lengths / lengths[lengths > 0].mean())
        saturated = matrix.data * (k1 + 1.0) / (matrix.data + norms[matrix.indices])
        matrix.data = saturated * np.repeat(_user_idf(matrix), np.diff(matrix.indptr))
    return rank_by_cosine(matrix, k, min_co_occurrence)
