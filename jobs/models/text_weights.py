"""Cosine after the weightings of text retrieval: items are documents, the users who have them are their words."""

import numpy as np
from numpy.typing import NDArray

from jobs.models.blocks import checked, sparse_neighbours
from jobs.models.neighbours import Matrix, Neighbours


def _rarity(matrix: Matrix) -> NDArray[np.float64]:
    # idf of each user: who has everything says little of anything; above 0 for all
    return np.log1p(matrix.shape[1] / np.maximum(np.diff(matrix.indptr), 1))


def _cosine(matrix: Matrix, k: int, min_co_occurrence: int) -> Neighbours:
    norms = np.sqrt(np.bincount(matrix.indices, weights=matrix.data**2, minlength=matrix.shape[1]))
    matrix.data /= norms[matrix.indices]
    found = sparse_neighbours(matrix, k, min_co_occurrence=min_co_occurrence)
    np.clip(found.scores, 0.0, 1.0, out=found.scores)
    return found


def tfidf_neighbours(user_items: Matrix, k: int, *, min_co_occurrence: int = 2) -> Neighbours:
    """Find each item's ``k`` nearest by cosine of √weight · idf(user) (Salton and Buckley, 1988).

    ``user_items`` : shape (n_users, n_items), weights at least 0. Scores are cosines, in [0, 1], unscaled.
    Raises ValueError if ``k`` is below 1 or a weight is negative or not finite. Time and memory: ``sparse_neighbours``.
    """
    matrix = checked(user_items, k)
    matrix.data = np.sqrt(matrix.data) * np.repeat(_rarity(matrix), np.diff(matrix.indptr))
    return _cosine(matrix, k, min_co_occurrence)


def bm25_neighbours(
    user_items: Matrix, k: int, *, k1: float = 100.0, b: float = 0.5, min_co_occurrence: int = 2
) -> Neighbours:
    """Find each item's ``k`` nearest by cosine of BM25 weights (Robertson and Zaragoza, 2009).

    ``user_items`` : shape (n_users, n_items), weights at least 0. ``k1`` : how slowly a weight saturates, above 0;
    ``b`` : how much an item that many have is discounted, in [0, 1]. Scores are cosines, in [0, 1], unscaled.
    Raises ValueError if a parameter is out of range or a weight is negative or not finite.
    """
    if k1 <= 0 or not 0 <= b <= 1:
        raise ValueError("k1 must be above 0 and b in [0, 1]")
    matrix = checked(user_items, k)
    if matrix.nnz:
        lengths = np.bincount(matrix.indices, weights=matrix.data, minlength=matrix.shape[1])
        norms = k1 * (1.0 - b + b * lengths / lengths[lengths > 0].mean())
        saturated = matrix.data * (k1 + 1.0) / (matrix.data + norms[matrix.indices])
        matrix.data = saturated * np.repeat(_rarity(matrix), np.diff(matrix.indptr))
    return _cosine(matrix, k, min_co_occurrence)
