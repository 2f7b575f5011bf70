"""From products of matrices to neighbours, a block of items at a time: what every algorithm here ends with."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.models import pairs
from jobs.models.neighbours import AnyMatrix, Matrix, Neighbours
from jobs.models.topk import fill_top_k

Reals = NDArray[np.float64]

# Entries of a block of similarities held at once; each takes about 40 bytes at the peak.
BLOCK_ENTRIES: Final = 4_000_000


def checked(user_items: Matrix, k: int) -> Matrix:
    """Return a copy in single entries without zeros; raise ValueError on weights or a ``k`` that make no sense."""
    if k < 1:
        raise ValueError("k must be at least 1")
    matrix = user_items.astype(np.float64, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
        raise ValueError("weights must be finite and at least 0")
    return matrix


def seen(matrix: AnyMatrix) -> AnyMatrix:
    """Return who has what: 1 for every entry."""
    ones = matrix.copy()
    ones.data = np.ones_like(ones.data)
    return ones


def scaled(found: Neighbours) -> Neighbours:
    """Divide all scores by the greatest, in place, so that they lie in [0, 1] and keep their ratios."""
    greatest = found.scores.max(initial=0.0)
    if greatest > 0:
        np.divide(found.scores, greatest, out=found.scores)
    return found


def sparse_neighbours(
    user_items: Matrix,
    k: int,
    *,
    source: Reals | None = None,
    target: Reals | None = None,
    min_co_occurrence: int = 2,
    block_entries: int = BLOCK_ENTRIES,
) -> Neighbours:
    """Return each item's best others by source_i · target_j · (XᵀX)_ij, above 0.

    Parameters
    ----------
    user_items : X, shape (n_users, n_items), entries above 0 as ``checked`` returns them.
    source, target : shape (n_items,), 1 where not given.
    min_co_occurrence : pairs that fewer users have in common are not neighbours.

    Scores are as computed; see ``scaled``. Time grows with the sum over users of their items squared: large ones run
    compiled (``jobs/models/pairs.py``). Memory beyond the input is about 40 bytes × max(block_entries, n_items), or
    what ``best_pairs`` says.
    """
    n_items = user_items.shape[1]
    found = Neighbours.none(n_items, k)
    if user_items.nnz == 0:
        return found
    if pairs.worth_compiling(user_items):
        return pairs.best_pairs(user_items, k, source=source, target=target, least=min_co_occurrence)
    items = user_items.T.tocsr()
    items_seen, users_seen = seen(items), seen(user_items)
    step = max(1, block_entries // n_items)
    for first in range(0, n_items, step):
        rows = slice(first, min(first + step, n_items))
        scores = items[rows] @ user_items
        together = items_seen[rows] @ users_seen
        # both products have one structure, so the product visits their entries in one order
        assert np.array_equal(scores.indices, together.indices)
        row_of = np.repeat(np.arange(first, rows.stop), np.diff(scores.indptr))
        if source is not None:
            scores.data *= source[row_of]
        if target is not None:
            scores.data *= target[scores.indices]
        keep = (together.data >= min_co_occurrence) & (scores.indices != row_of) & (scores.data > 0)
        indptr = np.concatenate(([0], np.cumsum(np.bincount(row_of[keep] - first, minlength=rows.stop - first))))
        fill_top_k(
            found,
            first,
            indptr,
            scores.indices[keep],
            scores.data[keep].astype(np.float32),
            together.data[keep].astype(np.int32),
        )
    return found


def dense_neighbours(
    score_rows: Callable[[int, int], NDArray[np.floating]],
    user_items: AnyMatrix,
    k: int,
    *,
    min_co_occurrence: int = 0,
    block_entries: int = BLOCK_ENTRIES // 2,
) -> Neighbours:
    """Return the best entries of each row of a matrix that is too dense to be kept, off the diagonal and above 0.

    ``score_rows(first, last)`` returns rows ``first`` to ``last`` of it, shape (last − first, n_items), a new array.
    ``min_co_occurrence`` : pairs that fewer users have in common are not neighbours.
    Memory is about 24 bytes × max(block_entries, n_items) beyond what it holds.
    """
    n_items = user_items.shape[1]
    found = Neighbours.none(n_items, k)
    # a single precision count is exact up to 16 million users
    right: AnyMatrix = seen(user_items).astype(np.float32)
    left = right.T.tocsr()
    step = max(1, block_entries // max(1, n_items))
    compile = pairs.worth_compiling(right) or pairs.worth_compiling_dense(n_items)
    ranking = pairs.Ranking(right, found, min_co_occurrence) if compile else None
    for first in range(0, n_items, step):
        last = min(first + step, n_items)
        scores = score_rows(first, last).astype(np.float32, copy=False)
        scores[np.arange(last - first), np.arange(first, last)] = 0
        if ranking is not None:
            ranking.fill(first, last, scores)
            continue
        both = (left[first:last] @ right).toarray()
        if min_co_occurrence > 0:
            scores[both < min_co_occurrence] = 0
        # everything that ties with the k-th stays until fill_top_k's full order decides
        kth = np.partition(scores, n_items - k, axis=1)[:, n_items - k] if k < n_items else np.zeros(last - first)
        keep = (scores > 0) & (scores >= kth[:, None])
        rows, columns = np.nonzero(keep)
        indptr = np.concatenate(([0], np.cumsum(keep.sum(axis=1))))
        together = both[rows, columns].astype(np.int32)
        fill_top_k(found, first, indptr, columns, scores[rows, columns], together)
    return found
