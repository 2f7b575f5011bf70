"""Cosine between items: the plain method, and the reference the others are measured against."""

from typing import Final

import numpy as np
from scipy import sparse

from jobs.models.neighbours import Matrix, Neighbours
from jobs.models.topk import fill_top_k

# Entries of a block of similarities held at once; each takes about 40 bytes at the peak.
BLOCK_ENTRIES: Final = 4_000_000


def _ones(matrix: Matrix) -> "sparse.csr_array[np.int32, tuple[int, int]]":
    return sparse.csr_array((np.ones(matrix.nnz, np.int32), matrix.indices, matrix.indptr), shape=matrix.shape)


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
    Time grows with the sum over users of their items squared. Memory beyond twice the input is about
    40 bytes × max(block_entries, n_items).
    """
    if k < 1 or min_co_occurrence < 1 or block_entries < 1:
        raise ValueError("k, min_co_occurrence and block_entries must be at least 1")
    matrix = user_items.astype(np.float64, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
        raise ValueError("weights must be finite and at least 0")
    n_items = matrix.shape[1]
    found = Neighbours.none(n_items, k)
    if matrix.nnz == 0:
        return found

    norms = np.sqrt(np.bincount(matrix.indices, weights=matrix.data**2, minlength=n_items))
    matrix.data /= norms[matrix.indices]
    items = matrix.T.tocsr()
    seen, items_seen = _ones(matrix), _ones(items)

    step = max(1, block_entries // n_items)
    for first in range(0, n_items, step):
        rows = slice(first, min(first + step, n_items))
        scores = items[rows] @ matrix
        together = items_seen[rows] @ seen
        # both products have one structure, so the product visits their entries in one order
        assert np.array_equal(scores.indices, together.indices)
        lengths = np.diff(scores.indptr)
        row_of = np.repeat(np.arange(first, rows.stop), lengths)
        keep = (together.data >= min_co_occurrence) & (scores.indices != row_of)
        indptr = np.concatenate(([0], np.cumsum(np.bincount(row_of[keep] - first, minlength=rows.stop - first))))
        fill_top_k(
            found,
            first,
            indptr,
            scores.indices[keep],
            np.clip(scores.data[keep], 0.0, 1.0).astype(np.float32),
            together.data[keep],
        )
    return found
