"""What algorithms share: validating the input, and ranking similarities one block of items at a time."""

from collections.abc import Callable
from typing import Final

import numpy as np

from jobs.models import pairs
from jobs.models.arrays import AnyMatrix, Float64Array, FloatArray, Matrix
from jobs.models.neighbours import Neighbours
from jobs.models.topk import fill_top_k

# similarities held at once; each takes about 40 bytes at the peak
BLOCK_ENTRIES: Final = 4_000_000


def validate(user_items: Matrix, k: int) -> Matrix:
    """Return a copy of ``user_items`` in double precision, without duplicate entries or zeros.

    Raises ValueError if ``k`` is below 1, or a weight is negative or not finite.
    """
    if k < 1:
        raise ValueError("k must be at least 1")
    matrix = user_items.astype(np.float64, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
        raise ValueError("weights must be finite and at least 0")
    return matrix


def binarise(matrix: AnyMatrix) -> AnyMatrix:
    """Return a copy with 1 for every stored entry."""
    ones = matrix.copy()
    ones.data = np.ones_like(ones.data)
    return ones


def scale_scores(neighbours: Neighbours) -> Neighbours:
    """Divide all scores by the greatest, in place, so that they lie in [0, 1] and keep their ratios."""
    greatest = neighbours.scores.max(initial=0.0)
    if greatest > 0:
        np.divide(neighbours.scores, greatest, out=neighbours.scores)
    return neighbours


def rank_co_occurring(
    user_items: Matrix,
    k: int,
    *,
    source: Float64Array | None = None,
    target: Float64Array | None = None,
    min_co_occurrence: int = 2,
    block_entries: int = BLOCK_ENTRIES,
) -> Neighbours:
    """Return the ``k`` best neighbours of each item by source_i · target_j · (XᵀX)_ij, above 0.

    Parameters
    ----------
    user_items : X, shape (n_users, n_items), entries above 0 as ``validate`` returns them.
    source, target : shape (n_items,), 1 if omitted.
    min_co_occurrence : pairs with fewer common users are not neighbours.
    block_entries : similarities held at once, but at least those of one item.

    Scores are not scaled; see ``scale_scores``. Time grows with Σ over users of their items²; large inputs run in
    compiled loops (``jobs/models/pairs.py``). Memory beyond the input is about 40 bytes × max(block_entries, n_items),
    or what ``pairs.score_co_occurring`` states.
    """
    n_items = user_items.shape[1]
    neighbours = Neighbours.none(n_items, k)
    if user_items.nnz == 0:
        return neighbours
    if pairs.worth_compiling(user_items):
        return pairs.score_co_occurring(
            user_items, k, source=source, target=target, min_co_occurrence=min_co_occurrence
        )
    by_item = user_items.T.tocsr()
    by_item_ones, by_user_ones = binarise(by_item), binarise(user_items)
    step = max(1, block_entries // n_items)
    for first in range(0, n_items, step):
        rows = slice(first, min(first + step, n_items))
        scores = by_item[rows] @ user_items
        counts = by_item_ones[rows] @ by_user_ones
        # both products have the same sparsity structure, so their entries come in the same order
        assert np.array_equal(scores.indices, counts.indices)
        row_of = np.repeat(np.arange(first, rows.stop), np.diff(scores.indptr))
        if source is not None:
            scores.data *= source[row_of]
        if target is not None:
            scores.data *= target[scores.indices]
        keep = (counts.data >= min_co_occurrence) & (scores.indices != row_of) & (scores.data > 0)
        indptr = np.concatenate(([0], np.cumsum(np.bincount(row_of[keep] - first, minlength=rows.stop - first))))
        fill_top_k(
            neighbours,
            first,
            indptr,
            scores.indices[keep],
            scores.data[keep].astype(np.float32),
            counts.data[keep].astype(np.int32),
        )
    return neighbours


def rank_rows(
    compute_rows: Callable[[int, int], FloatArray],
    user_items: AnyMatrix,
    k: int,
    *,
    min_co_occurrence: int = 0,
    block_entries: int = BLOCK_ENTRIES // 2,
) -> Neighbours:
    """Return the ``k`` greatest entries above 0 of each row of an n_items × n_items matrix too dense to store.

    The diagonal is left out.

    Parameters
    ----------
    compute_rows : returns the rows ``first`` to ``last`` as a new array, shape (last − first, n_items).
    user_items : shape (n_users, n_items), for the counts of common users.
    min_co_occurrence : pairs with fewer common users are not neighbours.
    block_entries : entries held at once, but at least those of one row.

    Memory is about 24 bytes × max(block_entries, n_items), beyond what ``compute_rows`` holds.
    """
    n_items = user_items.shape[1]
    neighbours = Neighbours.none(n_items, k)
    # a float32 count is exact up to 16 million users
    by_user: AnyMatrix = binarise(user_items).astype(np.float32)
    by_item = by_user.T.tocsr()
    step = max(1, block_entries // max(1, n_items))
    compiled = pairs.worth_compiling(by_user) or pairs.worth_compiling_dense(n_items)
    ranking = pairs.ScoreRanking(by_user, neighbours, min_co_occurrence) if compiled else None
    for first in range(0, n_items, step):
        last = min(first + step, n_items)
        scores = compute_rows(first, last).astype(np.float32, copy=False)
        scores[np.arange(last - first), np.arange(first, last)] = 0
        if ranking is not None:
            ranking.fill(first, last, scores)
            continue
        counts = (by_item[first:last] @ by_user).toarray()
        if min_co_occurrence > 0:
            scores[counts < min_co_occurrence] = 0
        # keep the entries that tie with the k-th: the full ordering of fill_top_k decides between them
        kth = np.partition(scores, n_items - k, axis=1)[:, n_items - k] if k < n_items else np.zeros(last - first)
        keep = (scores > 0) & (scores >= kth[:, None])
        rows, columns = np.nonzero(keep)
        indptr = np.concatenate(([0], np.cumsum(keep.sum(axis=1))))
        fill_top_k(neighbours, first, indptr, columns, scores[rows, columns], counts[rows, columns].astype(np.int32))
    return neighbours
