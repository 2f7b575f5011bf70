"""Cosine similarity with the term weightings of text retrieval: items are documents, and their users are the terms."""

import numpy as np

from jobs.models.arrays import Float64Array, IntArray, Matrix
from jobs.models.blocks import validate
from jobs.models.cosine import rank_by_cosine
from jobs.models.neighbours import Neighbours


def user_idf(counts: IntArray, n_items: int) -> Float64Array:
    """Return each user's inverse document frequency, above 0: users with many items count less.

    counts : the number of items of each user, shape (n_users,).
    """
    idf: Float64Array = np.log1p(n_items / np.maximum(counts, 1))
    return idf


def length_norms(lengths: Float64Array, k1: float, b: float) -> Float64Array:
    """Return the BM25 length norm of each item from its sum of weights, ``lengths``; both of shape (n_items,)."""
    norms: Float64Array = k1 * (1.0 - b + b * lengths / lengths[lengths > 0].mean())
    return norms


def saturate(weights: Float64Array, norms: Float64Array, k1: float) -> Float64Array:
    """Return the BM25 weights of entries, without the idf. ``norms`` are those of each entry's item."""
    return weights * (k1 + 1.0) / (weights + norms)


def tfidf_neighbours(user_items: Matrix, k: int, *, min_co_occurrence: int = 2) -> Neighbours:
    """Find each item's ``k`` nearest other items by cosine of √weight · idf(user) (Salton and Buckley, 1988).

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
    counts = np.diff(matrix.indptr)
    matrix.data = np.sqrt(matrix.data) * np.repeat(user_idf(counts, matrix.shape[1]), counts)
    return rank_by_cosine(matrix, k, min_co_occurrence)


def bm25_neighbours(
    user_items: Matrix, k: int, *, k1: float = 100.0, b: float = 0.5, min_co_occurrence: int = 2
) -> Neighbours:
    """Find each item's ``k`` nearest other items by cosine of BM25 weights (Robertson and Zaragoza, 2009).

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
        lengths = np.bincount(matrix.indices, weights=matrix.data, minlength=matrix.shape[1]).astype(np.float64)
        saturated = saturate(matrix.data, length_norms(lengths, k1, b)[matrix.indices], k1)
        counts = np.diff(matrix.indptr)
        matrix.data = saturated * np.repeat(user_idf(counts, matrix.shape[1]), counts)
    return rank_by_cosine(matrix, k, min_co_occurrence)
