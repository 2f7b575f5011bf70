"""Cosine between items: the plain method, and the reference the others are measured against."""

import numpy as np

from jobs.models.blocks import BLOCK_ENTRIES, checked, sparse_neighbours
from jobs.models.neighbours import Matrix, Neighbours


def cosine_neighbours(
    user_items: Matrix, k: int, *, min_co_occurrence: int = 2, block_entries: int = BLOCK_ENTRIES
) -> Neighbours:
    """Find each item's ``k`` nearest other items by cosine (Sarwar et al., WWW 2001, section 3.1.1).

    Parameters
    ----------
    user_items : shape (n_users, n_items)
        Interaction weights, at least 0; a stored 0 is no interaction.
    k : neighbours per item, at least 1; an item that has fewer is padded.
    min_co_occurrence : pairs that fewer users have in common are not neighbours, at least 1.
    block_entries : bounds memory: similarities held at once (but at least those of one item).

    Returns
    -------
    Neighbours of shape (n_items, k), best first; scores in [0, 1].

    Raises ValueError if ``k`` or ``min_co_occurrence`` is out of range, or a weight is negative or not finite.
    Time and memory: ``sparse_neighbours``.
    """
    if min_co_occurrence < 1 or block_entries < 1:
        raise ValueError("min_co_occurrence and block_entries must be at least 1")
    matrix = checked(user_items, k)
    norms = np.sqrt(np.bincount(matrix.indices, weights=matrix.data**2, minlength=matrix.shape[1]))
    matrix.data /= norms[matrix.indices]
    found = sparse_neighbours(matrix, k, min_co_occurrence=min_co_occurrence, block_entries=block_entries)
    np.clip(found.scores, 0.0, 1.0, out=found.scores)
    return found
