"""Scoring and ranking item pairs in compiled loops, for shops that are too large for SciPy.

SciPy multiplies sparse matrices in two passes, writes the entire product, and needs a second product for the counts.
The kernels in ``jobs/models/pair_kernels.py`` visit each pair once, add up score and count side by side, and keep only
the best. Numba compiles them on first use, which takes seconds. Without Numba, or where compiling does not pay off,
``jobs/models/blocks.py`` computes the same with SciPy. Measurements: docs/decisions/0011-compiled-pairs.md.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from scipy import sparse

from jobs.models import pair_kernels, transition_kernel
from jobs.models.arrays import AnyMatrix, Float32Array, FloatArray, Int32Array
from jobs.models.neighbours import Neighbours

# compiling pays off from this many multiplications: SciPy takes about as long for them
MIN_COMPILED_WORK: Final = 2_000_000
# items in each batch that a thread processes: few, since the work per item varies by factors of thousands
SCORED_BATCH: Final = 32
# the same where each thread writes only the rows of its own items
RANKED_BATCH: Final = 256
# the least score of a neighbour: scores must be above 0
MIN_SCORE: Final = np.finfo(np.float32).tiny


@dataclass(frozen=True)
class Engine:
    """The kernels for pairs of items and for transitions, interpreted or compiled."""

    score_pairs: Callable[..., None]
    rank_scores: Callable[..., None]
    rank_by_users: Callable[..., None]
    rank_by_factors: Callable[..., None]
    merge_heaps: Callable[..., None]
    rank_transitions: Callable[..., None]


# slow, with bit-identical results: the reference in tests
INTERPRETED: Final = Engine(
    pair_kernels.score_pairs,
    pair_kernels.rank_scores,
    pair_kernels.rank_by_users,
    pair_kernels.rank_by_factors,
    pair_kernels.merge_heaps,
    transition_kernel.rank_transitions,
)


@cache
def compile_engine() -> Engine:
    """Return the kernels as machine code that releases the GIL. Raises ImportError without Numba."""
    from numba import njit
    from numba.extending import register_jitable

    for function in (
        pair_kernels.ranks_before,
        pair_kernels.insert_sorted,
        pair_kernels.push_heap,
        pair_kernels.count_common_users,
        pair_kernels.keep_frequent,
    ):
        register_jitable(function)
    return Engine(**{name: njit(nogil=True)(kernel) for name, kernel in vars(INTERPRETED).items()})


@cache
def numba_installed() -> bool:
    """Return whether Numba is installed."""
    return find_spec("numba") is not None


def count_pairs(user_items: AnyMatrix) -> int:
    """Return Σ over users of their items²: the number of multiplications in XᵀX."""
    return int((np.diff(user_items.indptr).astype(np.float64) ** 2).sum())


def score_bytes(n_entries: int, n_items: int, k: int, *, workers: int) -> int:
    """Return the memory that ``score_co_occurring`` needs in addition to X, in bytes."""
    return 32 * n_entries + (16 + 12 * k) * n_items * workers


def worth_compiling(user_items: AnyMatrix) -> bool:
    """Return whether the kernels compute XᵀX. Only size decides, so that the same input always takes the same path."""
    return numba_installed() and count_pairs(user_items) >= MIN_COMPILED_WORK


def worth_compiling_dense(n_items: int) -> bool:
    """Return whether the kernels rank the rows of an n_items × n_items matrix."""
    return numba_installed() and n_items**2 >= MIN_COMPILED_WORK


def count_threads() -> int:
    """Return how many processors this process may use."""
    # macOS and Windows do not support CPU affinity
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Heaps:
    """One thread's best pairs so far, and its scratch arrays."""

    def __init__(self, n_items: int, k: int) -> None:
        self.neighbours = Neighbours.none(n_items, k)
        self.sizes = np.zeros(n_items, np.int32)
        self.sums = np.zeros((n_items, 2), np.float32)
        self.touched = np.empty(n_items, np.int32)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The heaps, in the order of the kernels' parameters."""
        return self.sizes, *self.neighbours.arrays


def score_co_occurring(
    user_items: AnyMatrix,
    k: int,
    *,
    source: FloatArray | None = None,
    target: FloatArray | None = None,
    min_co_occurrence: int = 2,
    engine: Engine | None = None,
    workers: int | None = None,
) -> Neighbours:
    """Return the ``k`` best neighbours of each item by source_i · target_j · (XᵀX)_ij, above 0.

    Parameters
    ----------
    user_items : X, shape (n_users, n_items), entries above 0.
    source, target : shape (n_items,), 1 if omitted.
    min_co_occurrence : pairs with fewer common users are not neighbours.

    Time: 2 to 3 ns × ``count_pairs`` / 2, divided by the number of processors. Memory: ``score_bytes``. Sums are in
    single precision, with a relative error of about 1e-5, and do not depend on the number of workers.
    """
    n_items = user_items.shape[1]
    engine, workers = engine or compile_engine(), workers or count_threads()
    # popular items first: their sums lie close together in memory, and the work spreads evenly
    item_ids = np.argsort(-np.bincount(user_items.indices, minlength=n_items), kind="stable").astype(np.int32)
    position = np.empty(n_items, np.int32)
    position[item_ids] = np.arange(n_items, dtype=np.int32)
    by_user: AnyMatrix = sparse.csr_array(
        (user_items.data.astype(np.float32), position[user_items.indices], user_items.indptr), shape=user_items.shape
    )
    by_user.sort_indices()
    entries: AnyMatrix = sparse.csr_array(
        (np.arange(by_user.nnz, dtype=np.int64), by_user.indices, by_user.indptr), shape=by_user.shape
    )
    by_item = entries.T.tocsr()
    shared = (
        min_co_occurrence,
        item_ids,
        _reorder(source, item_ids),
        _reorder(target, item_ids),
        by_item.indptr.astype(np.int64),
        by_item.indices.astype(np.int32),
        by_item.data,
        by_user.indptr.astype(np.int64),
        by_user.indices.astype(np.int32),
        by_user.data,
        np.full(n_items, MIN_SCORE),
    )
    del entries, by_item
    idle = [_Heaps(n_items, k) for _ in range(workers)]

    def score_batch(first: int) -> None:
        heaps = idle.pop()
        last = min(first + SCORED_BATCH, n_items)
        engine.score_pairs(first, last, *shared, heaps.sums, heaps.touched, *heaps.arrays)
        idle.append(heaps)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(score_batch, range(0, n_items, SCORED_BATCH)))
    neighbours, sizes = Neighbours.none(n_items, k), np.zeros(n_items, np.int32)
    for heaps in idle:
        engine.merge_heaps(item_ids, *heaps.arrays, sizes, *neighbours.arrays)
    return neighbours


def _reorder(values: FloatArray | None, item_ids: Int32Array) -> Float32Array:
    return np.ones(len(item_ids), np.float32) if values is None else values[item_ids].astype(np.float32)


def _csr_both_ways(user_items: AnyMatrix) -> tuple[Any, ...]:
    """Return the users of each item and the items of each user in the form that the kernels expect."""
    by_item = user_items.T.tocsr()
    return (
        by_item.indptr.astype(np.int64),
        by_item.indices.astype(np.int32),
        user_items.indptr.astype(np.int64),
        user_items.indices.astype(np.int32),
    )


class ScoreRanking:
    """Ranks rows of scores as they are computed, and counts common users. Memory: 8 bytes per entry of ``user_items``.

    user_items : shape (n_users, n_items).  neighbours : filled in, shape (n_items, k).
    min_co_occurrence : pairs with fewer common users are not neighbours.
    """

    def __init__(
        self, user_items: AnyMatrix, neighbours: Neighbours, min_co_occurrence: int, *, engine: Engine | None = None
    ) -> None:
        self._neighbours, self._min_co_occurrence = neighbours, min_co_occurrence
        self._engine = engine or compile_engine()
        self._shared = _csr_both_ways(user_items)
        self._sizes = np.zeros(user_items.shape[1], np.int32)

    def fill(self, first: int, last: int, scores: Float32Array) -> None:
        """Fill the rows of the items ``first`` to ``last`` from their scores, shape (last − first, n_items)."""
        step = -(-(last - first) // count_threads())

        def rank_batch(start: int) -> None:
            end = min(start + step, last)
            self._engine.rank_scores(
                start,
                end,
                self._min_co_occurrence,
                scores[start - first : end - first],
                *self._shared,
                np.zeros(scores.shape[1], np.int32),
                np.empty(scores.shape[1], np.int32),
                self._sizes,
                *self._neighbours.arrays,
            )

        with ThreadPoolExecutor(count_threads()) as pool:
            list(pool.map(rank_batch, range(first, last, step)))


def rank_by_users(
    user_items: AnyMatrix, k: int, user_matrix: FloatArray, target: FloatArray, min_co_occurrence: int
) -> Neighbours:
    """Return the ``k`` best neighbours of each item by (XᵀMX)_ij · target_j, above 0.

    user_items : X, shape (n_users, n_items).  user_matrix : M, shape (n_users, n_users).  target : shape (n_items,).
    min_co_occurrence : at least 1; pairs with fewer common users are not scored.
    Time: entries of X · n_users + pairs with a common user · users of each.
    """
    weights = user_items.T.tocsr().data.astype(np.float64)
    user_matrix, target = user_matrix.astype(np.float64, copy=False), target.astype(np.float64)
    return _rank_co_occurring(
        user_items,
        k,
        compile_engine().rank_by_users,
        lambda: (min_co_occurrence, user_matrix, target, weights, np.empty(user_items.shape[0])),
    )


def rank_by_factors(
    user_items: AnyMatrix,
    k: int,
    source_factors: Float32Array,
    target_factors: Float32Array,
    min_co_occurrence: int,
) -> Neighbours:
    """Return the ``k`` best neighbours of each item by source_factors_i · target_factors_j, above 0.

    source_factors, target_factors : shape (n_items, n_factors).
    min_co_occurrence : at least 1; pairs with fewer common users are not scored.
    Time: ``count_pairs`` + pairs with a common user · n_factors.
    """
    return _rank_co_occurring(
        user_items,
        k,
        compile_engine().rank_by_factors,
        lambda: (min_co_occurrence, np.ascontiguousarray(source_factors), np.ascontiguousarray(target_factors)),
    )


def _rank_co_occurring(
    user_items: AnyMatrix, k: int, kernel: Callable[..., None], batch_arguments: Callable[[], tuple[Any, ...]]
) -> Neighbours:
    n_items = user_items.shape[1]
    neighbours, sizes = Neighbours.none(n_items, k), np.zeros(n_items, np.int32)
    shared = _csr_both_ways(user_items)

    def rank_batch(first: int) -> None:
        last = min(first + RANKED_BATCH, n_items)
        scratch = np.zeros((3, n_items), np.int32)
        kernel(first, last, *batch_arguments(), *shared, *scratch, sizes, *neighbours.arrays)

    with ThreadPoolExecutor(count_threads()) as pool:
        list(pool.map(rank_batch, range(0, n_items, RANKED_BATCH)))
    return neighbours
