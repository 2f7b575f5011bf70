"""Cosine similarity of items: the plain method, and the baseline of the others."""

import numpy as np

from jobs.models.arrays import Float64Array, IntArray, Matrix
from jobs.models.blocks import BLOCK_ENTRIES, rank_co_occurring, validate
from jobs.models.neighbours import Neighbours


def cosine_neighbours(
    user_items: Matrix, k: int, *, min_co_occurrence: int = 2, block_entries: int = BLOCK_ENTRIES
) -> Neighbours:
    """Find each item's ``k`` nearest other items by cosine (Sarwar et al., WWW 2001, section 3.1.1).

    Parameters
    ----------
    user_items : shape (n_users, n_items)
        Interaction weights, at least 0; a stored 0 is no interaction.
    k : neighbours per item, at least 1; an item with fewer is padded.
    min_co_occurrence : at least 1; pairs with fewer common users are not neighbours.
    block_entries : similarities held at once, at least 1; bounds memory.

    Returns
    -------
    Neighbours of shape (n_items, k), best first; scores in [0, 1].

    Raises ValueError if ``k``, ``min_co_occurrence`` or ``block_entries`` is out of range, or a weight is negative or
    not finite. Time and memory: ``rank_co_occurring``.
    """
    if min_co_occurrence < 1 or block_entries < 1:
        raise ValueError("min_co_occurrence and block_entries must be at least 1")
    return rank_by_cosine(validate(user_items, k), k, min_co_occurrence, block_entries)


def rank_by_cosine(matrix: Matrix, k: int, min_co_occurrence: int, block_entries: int = BLOCK_ENTRIES) -> Neighbours:
    """Return the ``k`` best neighbours of each item by the cosine of the columns of ``matrix``, which it normalises.

    matrix : shape (n_users, n_items), entries above 0; changed in place. Scores in [0, 1].
    """
    matrix.data /= column_norms(matrix.indices, matrix.data, matrix.shape[1])[matrix.indices]
    return clip_scores(rank_co_occurring(matrix, k, min_co_occurrence=min_co_occurrence, block_entries=block_entries))


def column_norms(items: IntArray, weights: Float64Array, n_items: int) -> Float64Array:
    """Return the Euclidean norm of each item's weights, shape (n_items,). The last bits depend on the order of rows."""
    norms: Float64Array = np.sqrt(np.bincount(items, weights=weights**2, minlength=n_items))
    return norms


def clip_scores(neighbours: Neighbours) -> Neighbours:
    """Limit scores to [0, 1], in place: rounding can take cosines slightly outside."""
    np.clip(neighbours.scores, 0.0, 1.0, out=neighbours.scores)
    return neighbours
