"""Counting and scoring pairs in compiled loops: the engine of every algorithm where a shop is large.

SciPy multiplies sparse matrices in two passes, writes all of the product, and needs another product for the counts. The
loops of ``jobs/models/loops.py`` meet each pair of items once, add score and count side by side, and keep the best of
both only. Numba compiles them when they are first needed, in seconds; without Numba, or where that is not worth it,
``jobs/models/blocks.py`` does the same with SciPy alone. Measurements: docs/decisions/0011-compiled-pairs.md.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from jobs.models import loops
from jobs.models.neighbours import AnyMatrix, Neighbours

# Multiplications from which compiling is worth it: SciPy takes about as long for as many.
LEAST_WORK: Final = 2_000_000
# items that a thread takes at a time: few, for an item's work varies by thousands
ITEMS_AT_ONCE: Final = 32
# the same where each writes its own rows only
ITEMS_OF_THEIR_OWN: Final = 256
# scores must be above 0
LEAST_SCORE: Final = np.finfo(np.float32).tiny


@dataclass(frozen=True)
class Engine:
    """The loops, as they are or compiled."""

    score_pairs: Callable[..., None]
    rank_given: Callable[..., None]
    rank_by_users: Callable[..., None]
    rank_by_factors: Callable[..., None]
    merge: Callable[..., None]


# slow, and equal to the last digit: what tests compare with
INTERPRETED: Final = Engine(
    loops.score_pairs, loops.rank_given, loops.rank_by_users, loops.rank_by_factors, loops.merge
)


@cache
def compiled() -> Engine:
    """Return the loops as machine code that lets other threads run. Raises ImportError without Numba."""
    from numba import njit
    from numba.extending import register_jitable

    for one in (loops.precedes, loops.insert, loops.offer, loops.meet, loops.sift):
        register_jitable(one)
    return Engine(**{name: njit(nogil=True)(loop) for name, loop in vars(INTERPRETED).items()})


@cache
def available() -> bool:
    """Whether Numba is installed."""
    return find_spec("numba") is not None


def work_of(user_items: AnyMatrix) -> int:
    """Return how many pairs the users' items make, those of an item with itself and both orders included."""
    return int((np.diff(user_items.indptr).astype(np.float64) ** 2).sum())


def worth_compiling(user_items: AnyMatrix) -> bool:
    """Whether the pairs of this matrix are counted here: by its size alone, so that answers do not vary."""
    return available() and work_of(user_items) >= LEAST_WORK


def worth_compiling_dense(n_items: int) -> bool:
    """Whether the rows of a square of so many items are ranked here."""
    return available() and n_items**2 >= LEAST_WORK


def threads() -> int:
    """Return how many processors this process may use."""
    # not every system tells which
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Best:
    """The best found so far by one thread, and what it counts with."""

    def __init__(self, n_items: int, k: int) -> None:
        self.found = Neighbours.none(n_items, k)
        self.sizes = np.zeros(n_items, np.int32)
        self.sums = np.zeros((n_items, 2), np.float32)
        self.met = np.empty(n_items, np.int32)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What the loops write into."""
        return self.sizes, *self.found.arrays


def best_pairs(
    user_items: AnyMatrix,
    k: int,
    *,
    source: NDArray[np.floating[Any]] | None = None,
    target: NDArray[np.floating[Any]] | None = None,
    least: int = 2,
    engine: Engine | None = None,
    workers: int | None = None,
) -> Neighbours:
    """Return each item's best others by source_i · target_j · (XᵀX)_ij, above 0.

    Parameters
    ----------
    user_items : X, shape (n_users, n_items), entries above 0.
    source, target : shape (n_items,), 1 where not given.
    least : pairs that fewer users have in common are not neighbours.

    Time is 2 to 3 ns × half the sum over users of their items squared, shared by the processor's cores. Memory: 32
    bytes an entry of X, and 16 + 12 · k bytes × n_items × workers. Summed in single precision: relative error about
    1e-5.
    """
    n_items = user_items.shape[1]
    engine, workers = engine or compiled(), workers or threads()
    # popular items first: what is counted most lies close together, and the work is spread evenly
    names = np.argsort(-np.bincount(user_items.indices, minlength=n_items), kind="stable").astype(np.int32)
    place_of = np.empty(n_items, np.int32)
    place_of[names] = np.arange(n_items, dtype=np.int32)
    ordered: AnyMatrix = sparse.csr_array(
        (user_items.data.astype(np.float32), place_of[user_items.indices], user_items.indptr), shape=user_items.shape
    )
    ordered.sort_indices()
    entries: AnyMatrix = sparse.csr_array(
        (np.arange(ordered.nnz, dtype=np.int64), ordered.indices, ordered.indptr), shape=ordered.shape
    )
    turned = entries.T.tocsr()
    shared = (
        least,
        names,
        _scale(source, names),
        _scale(target, names),
        turned.indptr.astype(np.int64),
        turned.indices.astype(np.int32),
        turned.data,
        ordered.indptr.astype(np.int64),
        ordered.indices.astype(np.int32),
        ordered.data,
        np.full(n_items, LEAST_SCORE),
    )
    del entries, turned
    idle = [_Best(n_items, k) for _ in range(workers)]

    def some(first: int) -> None:
        mine = idle.pop()
        engine.score_pairs(first, min(first + ITEMS_AT_ONCE, n_items), *shared, mine.sums, mine.met, *mine.arrays)
        idle.append(mine)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(some, range(0, n_items, ITEMS_AT_ONCE)))
    found, sizes = Neighbours.none(n_items, k), np.zeros(n_items, np.int32)
    for one in idle:
        engine.merge(names, *one.arrays, sizes, *found.arrays)
    return found


def _scale(values: NDArray[np.floating[Any]] | None, names: NDArray[np.int32]) -> NDArray[np.float32]:
    return np.ones(len(names), np.float32) if values is None else values[names].astype(np.float32)


class Ranking:
    """Ranks given scores, some items at a time, and counts who has both. Memory: 8 bytes an entry, and little else."""

    def __init__(self, user_items: AnyMatrix, into: Neighbours, least: int, *, engine: Engine | None = None) -> None:
        self.into, self.least, self.engine = into, least, engine or compiled()
        turned = user_items.T.tocsr()
        self._shared = (
            turned.indptr.astype(np.int64),
            turned.indices.astype(np.int32),
            user_items.indptr.astype(np.int64),
            user_items.indices.astype(np.int32),
        )
        self._sizes = np.zeros(user_items.shape[1], np.int32)

    def fill(self, first: int, last: int, given: NDArray[np.float32]) -> None:
        """Fill the rows of the items ``first`` to ``last`` from their scores, shape (last − first, n_items)."""
        step = -(-(last - first) // threads())

        def some(start: int) -> None:
            end = min(start + step, last)
            self.engine.rank_given(
                start,
                end,
                self.least,
                given[start - first : end - first],
                *self._shared,
                np.zeros(given.shape[1], np.int32),
                np.empty(given.shape[1], np.int32),
                self._sizes,
                *self.into.arrays,
            )

        with ThreadPoolExecutor(threads()) as pool:
            list(pool.map(some, range(first, last, step)))


def best_by_users(
    user_items: AnyMatrix, k: int, kernel: NDArray[Any], per_item: NDArray[Any], least: int
) -> Neighbours:
    """Return each item's best others by (XᵀKX)_ij · per_item_j, above 0, of those that ``least`` users have as well.

    user_items : X, shape (n_users, n_items);  kernel : K, shape (n_users, n_users);  per_item : shape (n_items,);
    least : at least 1. Time: entries of X · n_users, and pairs that users have in common · users of each.
    """
    weights = user_items.T.tocsr().data.astype(np.float64)
    kernel, per_item = kernel.astype(np.float64, copy=False), per_item.astype(np.float64)
    return _best_met(
        user_items,
        k,
        compiled().rank_by_users,
        lambda: (least, kernel, per_item, weights, np.empty(user_items.shape[0])),
    )


def best_by_factors(
    user_items: AnyMatrix, k: int, speaking: NDArray[np.float32], spoken_for: NDArray[np.float32], least: int
) -> Neighbours:
    """Return each item's best others by speaking_i · spoken_for_j, above 0, of those that ``least`` users have as well.

    speaking, spoken_for : shape (n_items, n_factors);  least : at least 1. Time: ``work_of``, and pairs that users have
    in common · n_factors.
    """
    return _best_met(
        user_items,
        k,
        compiled().rank_by_factors,
        lambda: (least, np.ascontiguousarray(speaking), np.ascontiguousarray(spoken_for)),
    )


def _best_met(
    user_items: AnyMatrix, k: int, run: Callable[..., None], of_thread: Callable[[], tuple[Any, ...]]
) -> Neighbours:
    n_items = user_items.shape[1]
    found, sizes = Neighbours.none(n_items, k), np.zeros(n_items, np.int32)
    turned = user_items.T.tocsr()
    shared = (
        turned.indptr.astype(np.int64),
        turned.indices.astype(np.int32),
        user_items.indptr.astype(np.int64),
        user_items.indices.astype(np.int32),
    )

    def some(first: int) -> None:
        last = min(first + ITEMS_OF_THEIR_OWN, n_items)
        scratch = np.zeros((3, n_items), np.int32)
        run(first, last, *of_thread(), *shared, *scratch, sizes, *found.arrays)

    with ThreadPoolExecutor(threads()) as pool:
        list(pool.map(some, range(0, n_items, ITEMS_OF_THEIR_OWN)))
    return found
