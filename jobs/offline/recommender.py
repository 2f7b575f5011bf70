"""The serving formula for many users of a snapshot at once, with the same results as the recommendations function.

The loops are those of jobs/offline/kernels.py. Numba compiles them in about 2 seconds, after which a trial takes a
tenth to a fortieth of the time; docs/decisions/0021-one-array-formula.md has the figures.
"""

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np

from jobs.models.arrays import AnyMatrix, Float64Array, Int32Array, Int64Array
from jobs.models.neighbours import Neighbours
from jobs.models.pairs import count_threads
from jobs.offline import kernels
from jobs.offline.snapshot import Snapshot, TasteProfiles
from shared.domain.formula import (
    CANDIDATES_BY_PROFILE,
    CANDIDATES_BY_TASTE,
    FAVOURITE_CATEGORIES,
    FILLER_WINDOW,
    KIND_WEIGHTS,
    NEWEST_TIER,
    POPULAR_TIER,
    SCORED_WINDOWS,
    SUGGESTED_TIER,
    TASTE_WINDOW,
    TRENDING_TIER,
    ExclusionPolicy,
    Formula,
    TrendingWindow,
)

NOT_FILLED: Final = -1
# Rows in each batch that a thread processes.
ROWS_AT_ONCE: Final = 50
# The number of pairs of model and profile whose candidates are cached: enough while the search varies a formula's
# parameters one at a time.
CANDIDATES_KEPT: Final = 6

Kernel = Callable[..., None]
Prepared = TypeVar("Prepared")
Kept = TypeVar("Kept")


@cache
def compiled_kernels() -> tuple[Kernel, Kernel]:
    """Return ``kernels.find_candidates`` and ``kernels.rank_candidates`` as machine code that releases the GIL.

    Raises ImportError without Numba.
    """
    from numba import njit
    from numba.extending import register_jitable

    for function in (kernels.sum_neighbours, kernels.keep_known, kernels.sift_down, kernels.keep_best):
        register_jitable(function)
    return njit(nogil=True)(kernels.find_candidates), njit(nogil=True)(kernels.rank_candidates)


class CandidateKey(NamedTuple):
    """The formula's parameters that the candidates from a profile depend on."""

    profile_events: int
    rank_decay: float
    half_life_days: float | None
    weight_power: float
    frequency_power: float
    repeat_weight: float
    exclusion_policy: ExclusionPolicy

    @classmethod
    def of(cls, formula: Formula) -> "CandidateKey":
        """Return the key of a formula. Its other parameters only change how the candidates' scores are mixed."""
        return cls(*(getattr(formula, name) for name in cls._fields))


class KeptCandidates(Generic[Kept]):
    """A cache of results by model and key that keeps the CANDIDATES_KEPT most recently used ones."""

    def __init__(self) -> None:
        # keeps a reference to the model, so that no other object can get its id
        self._kept: OrderedDict[tuple[int, CandidateKey], tuple[object, Kept]] = OrderedDict()

    def has(self, model: object, key: CandidateKey) -> bool:
        """Return whether there is a result."""
        return (id(model), key) in self._kept

    def find(self, model: object, key: CandidateKey) -> Kept | None:
        """Return the result and mark it as the most recently used; None if there is none."""
        if (entry := self._kept.get((id(model), key))) is None:
            return None
        self._kept.move_to_end((id(model), key))
        return entry[1]

    def keep(self, model: object, key: CandidateKey, result: Kept) -> None:
        """Store a result as the most recently used."""
        self._kept[id(model), key] = (model, result)
        self._kept.move_to_end((id(model), key))
        if len(self._kept) > CANDIDATES_KEPT:
            self._kept.popitem(last=False)


class OfflineRecommender:
    """Recommends to the users of a snapshot, and caches between calls what does not depend on the model.

    Parameters
    ----------
    k : size of each answer.
    compiled : whether the loops are compiled, which needs Numba. The answers are the same either way.
    """

    def __init__(self, snapshot: Snapshot, k: int, *, compiled: bool) -> None:
        self.snapshot, self.k, self.compiled = snapshot, k, compiled
        interpreted: tuple[Kernel, Kernel] = (kernels.find_candidates, kernels.rank_candidates)
        self._find, self._rank = compiled_kernels() if compiled else interpreted
        self._candidates: KeptCandidates[kernels.ProfileCandidates] = KeptCandidates()
        self._prepared: dict[tuple[str, ...], Any] = {}
        self._profile_taste: tuple[CandidateKey, kernels.TasteArrays] | None = None
        # the interpreter runs one thread at a time
        self._idle = [self._scratch() for _ in range(count_threads() if compiled else 1)]
        # the pool's threads start with the first answers and end with this object
        self._pool = ThreadPoolExecutor(len(self._idle))

    def recommend(self, neighbours: Neighbours, formula: Formula) -> Int64Array:
        """Return the best items of each user, shape (n_rows, k), best first, padded with −1.

        The repeat weight of ``formula`` is in units of similarity.
        """
        snapshot, policy, window = self.snapshot, formula.exclusion_policy, formula.trending_window
        answers = np.full((len(snapshot.users), self.k), NOT_FILLED, np.int64)
        self._run(
            self._rank,
            kernels.Constants(
                formula.blend,
                formula.trending_prior,
                formula.prior_evidence or 0.0,
                formula.affinity_trend,
                formula.popularity_discount,
                formula.short_profile_fit,
                formula.lasting_discount,
            ),
            self._find_candidates(neighbours, formula),
            self._returning(policy),
            self._prepare(("fixed", policy, window), lambda: self._fixed_candidates(policy, window)),
            self._active(),
            self._prepare(("groups",), self._groups),
            self._prepare(("trend", window), lambda: snapshot.trends[window]),
            self._prepare(("trend", "all"), lambda: snapshot.trends["all"]),
            self._taste(formula),
            into=answers,
        )
        return answers

    def has_candidates(self, neighbours: Neighbours, formula: Formula) -> bool:
        """Return whether the candidates from the profiles, most of the work of an answer, are cached."""
        return self._candidates.has(neighbours, CandidateKey.of(formula))

    def has_cached_taste(self, formula: Formula) -> bool:
        """Return whether the users' tastes are cached, or are those that all formulae share."""
        if formula.taste == "preferences":
            return True
        return self._profile_taste is not None and self._profile_taste[0] == _profile_key(formula)

    @property
    def n_taste_values(self) -> int:
        """Return the number of values of all users' tastes: categories, brands and tags for each of them."""
        catalog = self.snapshot.catalog
        n_codes = int(catalog.categories.max(initial=-1)) + int(catalog.brands.max(initial=-1)) + 2
        return len(self.snapshot.users) * (n_codes + catalog.tags.shape[1])

    def _find_candidates(self, neighbours: Neighbours, formula: Formula) -> kernels.ProfileCandidates:
        """Return the candidates from the profiles, cached: most formulae of a search share them with the one before."""
        key = CandidateKey.of(formula)
        candidates = self._candidates.find(neighbours, key)
        if candidates is not None:
            return candidates
        snapshot, policy = self.snapshot, formula.exclusion_policy
        n_rows, width = len(snapshot.users), CANDIDATES_BY_PROFILE + self.k
        candidates = self._adapt(
            kernels.ProfileCandidates(
                np.zeros(n_rows, np.int32),
                np.zeros(n_rows, np.int32),
                np.zeros(n_rows * width, np.int32),
                np.zeros(n_rows * width),
                width,
            )
        )
        self._run(
            self._find,
            kernels.ProfileConstants(formula.repeat_weight, policy == "unmet"),
            self._adapt(_sparse_rows(snapshot.profiles(formula))),
            self._adapt(
                kernels.FlatNeighbours(
                    neighbours.indices.reshape(-1), neighbours.scores.reshape(-1), neighbours.indices.shape[1]
                )
            ),
            self._prepare(("excluded", policy), lambda: _sparse_rows(snapshot.excluded(policy))),
            self._returning(policy),
            self._active(),
            into=candidates,
        )
        self._candidates.keep(neighbours, key, candidates)
        return candidates

    def _run(self, kernel: Kernel, *inputs: Any, into: Any) -> None:
        """Run a kernel over all rows, in batches."""
        n_rows = len(self.snapshot.users)

        def run_some(first: int) -> None:
            scratch = self._idle.pop()
            kernel(first, min(first + ROWS_AT_ONCE, n_rows), *inputs, scratch, into)
            self._idle.append(scratch)

        list(self._pool.map(run_some, range(0, n_rows, ROWS_AT_ONCE)))

    def _returning(self, policy: ExclusionPolicy) -> Any:
        return self._prepare(("returning", policy), lambda: _sparse_rows(self.snapshot.returning(policy)))

    def _active(self) -> Any:
        return self._prepare(("active",), lambda: self.snapshot.active)

    def _prepare(self, key: tuple[str, ...], build: Callable[[], Any]) -> Any:
        """Return the adapted result of ``build``, which is called only once for each key."""
        if key not in self._prepared:
            self._prepared[key] = self._adapt(build())
        return self._prepared[key]

    def _adapt(self, arrays: Prepared) -> Prepared:
        """Return lists instead of arrays for the interpreter, which reads elements of lists several times faster."""
        if self.compiled:
            return arrays
        adapted: Any = arrays.tolist() if isinstance(arrays, np.ndarray) else arrays
        if isinstance(arrays, tuple):
            adapted = type(arrays)(
                *(values.tolist() if isinstance(values, np.ndarray) else values for values in arrays)
            )
        result: Prepared = adapted
        return result

    def _scratch(self) -> kernels.Scratch:
        n, k = self.snapshot.n_items, self.k
        return self._adapt(
            kernels.Scratch(
                cf=np.zeros(n),
                orders=np.zeros(n, np.int32),
                is_candidate=np.zeros(n, np.bool_),
                candidates=np.zeros(n, np.int32),
                fits=np.zeros(n),
                best_items=np.zeros(k, np.int32),
                best_scores=np.zeros(k),
            )
        )

    def _groups(self) -> Int32Array:
        groups = self.snapshot.catalog.groups
        return np.full(self.snapshot.n_items, -1, np.int32) if groups is None else groups.astype(np.int32)

    def _first_of_groups(self, items: Int64Array) -> Int64Array:
        """Return the items without those that a variant of the same product precedes."""
        groups = self.snapshot.catalog.groups
        if groups is None:
            return items
        # an item without a group is a group of its own
        codes = np.where(groups >= 0, groups, groups.max() + 1 + np.arange(len(groups)))[items]
        return items[np.sort(np.unique(codes, return_index=True)[1])]

    def stranger_answer(self, window: TrendingWindow) -> Int64Array:
        """Return the answer to a user without events, best first: at most ``k`` items."""
        fillers = np.concatenate(list(self._best_by_tier(window).values()))
        _, first = np.unique(fillers, return_index=True)
        return self._first_of_groups(fillers[np.sort(first)])[: self.k]

    def _best_by_tier(self, window: TrendingWindow) -> dict[int, Int64Array]:
        """Return the fillers of each tier, best first; tiers are in order."""
        trends = self.snapshot.trends
        best_by_tier = {
            TRENDING_TIER: _order_descending(trends[window if window in SCORED_WINDOWS else FILLER_WINDOW]),
            POPULAR_TIER: _order_descending(trends["all"]),
            NEWEST_TIER: np.flatnonzero(self.snapshot.active)[::-1],
        }
        return {tier: self._first_of_groups(best) for tier, best in best_by_tier.items()}

    def _fixed_candidates(self, policy: ExclusionPolicy, window: TrendingWindow) -> kernels.FixedCandidates:
        """Return the candidates that do not depend on the profile: trending in favourite categories, and fillers.

        There are none if the policy excludes all products that the user has not met.
        """
        if policy == "unmet":
            empty = np.empty(0, np.int32)
            return kernels.FixedCandidates(np.zeros(len(self.snapshot.users) + 1, np.int32), empty, empty)
        snapshot, k = self.snapshot, self.k
        excluded, trends = snapshot.excluded(policy), snapshot.trends
        best_by_tier = self._best_by_tier(window)
        taste_trend = trends[TASTE_WINDOW]
        preferences, categories = snapshot.preferences.categories, snapshot.catalog.categories
        best_by_category = [
            _order_descending(np.where(categories == code, taste_trend, 0.0)) for code in range(preferences.shape[1])
        ]
        is_excluded = np.zeros(snapshot.n_items, np.bool_)
        items: list[Int64Array] = []
        orders: list[Int64Array] = []
        starts = [0]
        for row in range(len(snapshot.users)):
            hidden = excluded.indices[excluded.indptr[row] : excluded.indptr[row + 1]]
            is_excluded[hidden] = True
            enough = k + len(hidden)
            favourites = _order_descending(preferences[row])[:FAVOURITE_CATEGORIES]
            liked = np.concatenate(
                [best_by_category[code][: enough + CANDIDATES_BY_TASTE] for code in favourites]
                or [np.empty(0, np.int64)]
            )
            liked = liked[~is_excluded[liked]]
            liked = liked[np.lexsort((liked, -taste_trend[liked]))][: CANDIDATES_BY_TASTE + k]
            row_items, row_orders = [liked], [np.full(len(liked), SUGGESTED_TIER)]
            for tier, best in best_by_tier.items():
                fillers = best[:enough]
                fillers = fillers[~is_excluded[fillers]][:k]
                row_items.append(fillers)
                row_orders.append(tier * kernels.ORDERS_PER_TIER + np.arange(1, len(fillers) + 1))
            is_excluded[hidden] = False
            items += row_items
            orders += row_orders
            starts.append(starts[-1] + sum(map(len, row_items)))
        return kernels.FixedCandidates(
            np.asarray(starts, np.int32),
            np.concatenate(items).astype(np.int32) if items else np.empty(0, np.int32),
            np.concatenate(orders).astype(np.int32) if orders else np.empty(0, np.int32),
        )

    def _taste(self, formula: Formula) -> kernels.TasteArrays:
        """Return the users' tastes by the formula. Those of the latest profile are cached, like its candidates."""
        if formula.taste == "preferences":
            arrays: kernels.TasteArrays = self._prepare(
                ("preferences",), lambda: self._taste_arrays(self.snapshot.preferences)
            )
            return arrays
        if self._profile_taste is None or not self.has_cached_taste(formula):
            # those of the previous profile make room first
            self._profile_taste = None
            tastes = self.snapshot.tastes_from(self.snapshot.profiles(formula))
            self._profile_taste = _profile_key(formula), self._adapt(self._taste_arrays(tastes))
        return self._profile_taste[1]

    def _taste_arrays(self, tastes: TasteProfiles) -> kernels.TasteArrays:
        catalog = self.snapshot.catalog
        has_price = catalog.prices > 0
        return kernels.TasteArrays(
            tastes.categories.shape[1],
            (KIND_WEIGHTS["category"] * _shares(tastes.categories)).reshape(-1),
            catalog.categories.astype(np.int32),
            tastes.brands.shape[1],
            (KIND_WEIGHTS["brand"] * _shares(tastes.brands)).reshape(-1),
            catalog.brands.astype(np.int32),
            tastes.tags.shape[1],
            _shares(tastes.tags).reshape(-1),
            catalog.tags.indptr.astype(np.int32),
            catalog.tags.indices.astype(np.int32),
            KIND_WEIGHTS["tag"],
            np.where(has_price, np.log(np.where(has_price, catalog.prices, 1.0)), np.nan),
            np.where(tastes.has_prices, tastes.mean_log_price, np.nan),
            tastes.deviation,
        )


def _profile_key(formula: Formula) -> CandidateKey:
    """Return the parameters that a profile's weights depend on: those of its candidates but for the last two."""
    return CandidateKey.of(formula)._replace(repeat_weight=0.0, exclusion_policy="nothing")


def _sparse_rows(matrix: AnyMatrix) -> kernels.SparseRows:
    return kernels.SparseRows(
        matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data.astype(np.float64)
    )


def _shares(scores: Float64Array) -> Float64Array:
    """Return each score's share of the sum of its row."""
    total = scores.sum(axis=1, keepdims=True)
    return np.minimum(scores / np.where(total > 0, total, 1.0), 1.0)


def _order_descending(scores: Float64Array) -> Int64Array:
    """Return the positions of the scores above 0, greatest first, ties by position."""
    positive = np.flatnonzero(scores > 0)
    return positive[np.lexsort((positive, -scores[positive]))]
