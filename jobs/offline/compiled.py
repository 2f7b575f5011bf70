"""Answers in compiled loops, for tuning, which asks hundreds of times; ``./aisle bench tuning`` measures them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.models.arrays import AnyMatrix
from jobs.models.neighbours import Neighbours
from jobs.models.pairs import count_threads
from jobs.offline import kernels
from jobs.offline.recommender import NOT_FILLED, Server
from jobs.offline.snapshot import Past
from shared.domain.formula import Formula, Returning, TrendingWindow
from shared.domain.ranking import KIND_WEIGHTS
from shared.storage.recommending.candidates import CANDIDATES_BY_PROFILE

# users that a thread answers at a time
USERS_AT_ONCE: Final = 50


@cache
def compiled() -> Callable[..., None]:
    """Return ``loops.answer`` as machine code that lets other threads run. Raises ImportError without Numba."""
    from numba import njit
    from numba.extending import register_jitable

    for one in (kernels.sum_up, kernels.sink, kernels.keep_best):
        register_jitable(one)
    answer: Callable[..., None] = njit(nogil=True)(kernels.answer)
    return answer


class CompiledServer(Server):
    """A Server whose answers come from ``jobs/offline/kernels.py``; equal to its parent's."""

    def __init__(self, past: Past, k: int, *, answer: Callable[..., None] | None = None) -> None:
        super().__init__(past, k)
        self._answer = answer or compiled()
        self._rows: dict[Any, Any] = {}
        self._idle = [self._scratch() for _ in range(count_threads())]

    def recommend(self, neighbours: Neighbours, formula: Formula) -> NDArray[np.int64]:
        """Return the best items of each user, shape (n_rows, k), best first, padded with -1."""
        n_rows = len(self.past.users)
        found = np.full((n_rows, self.k), NOT_FILLED, np.int64)
        constants = kernels.Constants(
            formula.blend,
            formula.trending_prior,
            formula.affinity_trend,
            formula.repeat_weight,
            CANDIDATES_BY_PROFILE + self.k,
        )
        shared = (
            constants,
            _rows(self.past.profiles(formula)),
            neighbours.indices,
            neighbours.scores,
            self._excluded_rows(formula.returning),
            self._pool_rows(formula.returning, formula.trending_window),
            self.past.active,
            self.past.trends[formula.trending_window],
            self._taste,
        )

        def some(first: int) -> None:
            mine = self._idle.pop()
            self._answer(first, min(first + USERS_AT_ONCE, n_rows), *shared, mine, found)
            self._idle.append(mine)

        with ThreadPoolExecutor(len(self._idle)) as pool:
            list(pool.map(some, range(0, n_rows, USERS_AT_ONCE)))
        return found

    def _scratch(self) -> kernels.Scratch:
        n = self.past.n_items
        return kernels.Scratch(
            np.zeros(n), np.zeros(n, np.int32), np.zeros(n, np.bool_), np.empty(n, np.int32), np.empty(n)
        )

    def _excluded_rows(self, returning: Returning) -> kernels.Rows:
        if returning not in self._rows:
            self._rows[returning] = _rows(self.past.excluded(returning))
        found: kernels.Rows = self._rows[returning]
        return found

    def _pool_rows(self, returning: Returning, window: TrendingWindow) -> kernels.Pool:
        if (returning, window) not in self._rows:
            rows, items, tiers, places = self._pool(returning, window)
            starts = np.searchsorted(rows, np.arange(len(self.past.users) + 1))
            turns = tiers * kernels.TIER + places
            self._rows[returning, window] = kernels.Pool(*(one.astype(np.int32) for one in (starts, items, turns)))
        found: kernels.Pool = self._rows[returning, window]
        return found

    @cached_property
    def _taste(self) -> kernels.Taste:
        tastes, catalog = self.past.tastes, self.past.catalog
        priced = catalog.prices > 0
        return kernels.Taste(
            KIND_WEIGHTS["category"] * _shares(tastes.categories),
            catalog.categories.astype(np.int32),
            KIND_WEIGHTS["brand"] * _shares(tastes.brands),
            catalog.brands.astype(np.int32),
            _shares(tastes.tags),
            catalog.tags.indptr.astype(np.int32),
            catalog.tags.indices.astype(np.int32),
            KIND_WEIGHTS["tag"],
            np.where(priced, np.log(np.where(priced, catalog.prices, 1.0)), np.nan),
            np.where(tastes.has_prices, tastes.mean_log_price, np.nan),
            tastes.deviation,
        )


def _rows(matrix: AnyMatrix) -> kernels.Rows:
    return kernels.Rows(matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data.astype(np.float64))


def _shares(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    whole = scores.sum(axis=1, keepdims=True)
    return np.minimum(scores / np.where(whole > 0, whole, 1.0), 1.0)
