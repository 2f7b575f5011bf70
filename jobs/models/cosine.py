"""Cosine similarity of items: the plain method, and the baseline of the others."""

import numpy as np

from jobs.models.arrays import Matrix
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
    norms = np.sqrt(np.bincount(matrix.indices, weights=matrix.data**2, minlength=matrix.shape[1]))
    matrix.data /= norms[matrix.indices]
    neighbours = rank_co_occurring(matrix, k, min_co_occurrence=min_co_occurrence, block_entries=block_entries)
    np.clip(neighbours.scores, 0.0, 1.0, out=neighbours.scores)
    return neighbours
