"""The serving path over arrays: candidates and ranking for many users at once, equal to what the function answers.

``jobs/offline/compiled.py`` is the same compiled, for many answers.

The statement CANDIDATES in shared/storage/recommending/candidates.py and ``rank`` in shared/domain/ranking.py are the
other home of this formula; tests/integration/test_serving_formula.py holds the two against each other.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from jobs.models.arrays import Matrix
from jobs.models.neighbours import NO_NEIGHBOUR, Neighbours
from jobs.offline.snapshot import Past
from shared.domain.formula import Formula, Returning, TrendingWindow
from shared.domain.ranking import KIND_WEIGHTS
from shared.storage.recommending.candidates import CANDIDATES_BY_PROFILE, CANDIDATES_BY_TASTE

# as shared/storage/recommending/candidates.py
FAVOURITES: Final = 3
NOT_FILLED: Final = -1

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """Pairs of a row (user) and an item that may be shown, sorted by row, then item; each once.

    rows, items, tiers, places : int64, shape (n_pairs,);  cf : float64, shape (n_pairs,).
    Tier 0 was found by profile or taste; the others fill up, in the order of their places.
    """

    rows: Ints
    items: Ints
    cf: Reals
    tiers: Ints
    places: Ints


def similarities(neighbours: Neighbours) -> Matrix:
    """Return neighbours as a matrix, shape (n_items, n_items): row i holds what i speaks for."""
    n_items = len(neighbours.indices)
    filled = neighbours.indices != NO_NEIGHBOUR
    rows = np.repeat(np.arange(n_items), filled.sum(axis=1))
    scores = neighbours.scores[filled].astype(np.float64)
    return sparse.csr_array((scores, (rows, neighbours.indices[filled])), shape=(n_items, n_items))


class Server:
    """Answers for the users of a Past; keeps what does not depend on the model between calls."""

    def __init__(self, past: Past, k: int) -> None:
        self.past, self.k = past, k
        self._pools: dict[tuple[Returning, TrendingWindow], tuple[Ints, Ints, Ints, Ints]] = {}

    def recommend(self, neighbours: Neighbours, formula: Formula) -> NDArray[np.int64]:
        """Return the best items of each user, shape (n_rows, k), best first, padded with -1."""
        return self.rank(self.candidates(similarities(neighbours), formula), formula)

    # candidates ------------------------------------------------------------------------------------------------------

    def candidates(self, similar: Matrix, formula: Formula) -> Candidates:
        """Return what may be shown: the best by profile, the trending of favourite categories, and what fills up."""
        n = self.past.n_items
        rows, items, cf = self._by_profile(similar, formula)
        pool_rows, pool_items, pool_tiers, pool_places = self._pool(formula.returning, formula.trending_window)
        keys = np.concatenate((rows * n + items, pool_rows * n + pool_items))
        tiers = np.concatenate((np.zeros(len(rows), np.int64), pool_tiers))
        places = np.concatenate((np.zeros(len(rows), np.int64), pool_places))
        values = np.concatenate((cf, np.zeros(len(pool_rows))))
        order = np.lexsort((tiers, keys))
        keys, tiers, places, values = keys[order], tiers[order], places[order], values[order]
        first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.empty(0, np.int64)
        cf = np.maximum.reduceat(values, first) if len(first) else values
        return Candidates(keys[first] // n, keys[first] % n, cf, tiers[first], places[first])

    def _by_profile(self, similar: Matrix, formula: Formula) -> tuple[Ints, Ints, Reals]:
        profiles = self.past.profiles(formula)
        summed = profiles @ similar
        if formula.repeat_weight > 0:
            summed = summed + formula.repeat_weight * profiles
        summed = sparse.csr_array(summed)
        rows = np.repeat(np.arange(summed.shape[0]), np.diff(summed.indptr))
        items, cf = summed.indices.astype(np.int64), np.asarray(summed.data, np.float64)
        keep = (cf > 0) & self.past.active[items] & ~self._is_excluded(formula.returning, rows, items)
        return best_per_row(rows[keep], items[keep], cf[keep], CANDIDATES_BY_PROFILE + self.k)

    def _is_excluded(self, returning: Returning, rows: Ints, items: Ints) -> NDArray[np.bool_]:
        excluded = self._excluded_keys(returning)
        if not len(excluded):
            return np.zeros(len(rows), np.bool_)
        keys = rows * self.past.n_items + items
        at = np.minimum(np.searchsorted(excluded, keys), len(excluded) - 1)
        return np.asarray(excluded[at] == keys)

    def _excluded_keys(self, returning: Returning) -> Ints:
        if returning not in self._excluded:
            matrix = self.past.excluded(returning)
            matrix.sort_indices()
            rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
            self._excluded[returning] = rows * self.past.n_items + matrix.indices
        return self._excluded[returning]

    @cached_property
    def _excluded(self) -> dict[Returning, Ints]:
        return {}

    def _pool(self, returning: Returning, window: TrendingWindow) -> tuple[Ints, Ints, Ints, Ints]:
        """Return rows, items, tiers and places of what is there whatever the profile."""
        if (returning, window) not in self._pools:
            self._pools[returning, window] = self._make_pool(returning, window)
        return self._pools[returning, window]

    def _make_pool(self, returning: Returning, window: TrendingWindow) -> tuple[Ints, Ints, Ints, Ints]:
        past, k = self.past, self.k
        excluded = past.excluded(returning)
        trends = past.trends
        month = trends["30d"]
        # what the profile finds nothing for: trending, then most bought, then newest
        fill = [
            _descending(trends["7d" if window == "all" else window]),
            _descending(trends["all"]),
            np.flatnonzero(past.active)[::-1],
        ]
        categories = past.catalog.categories
        tastes = past.tastes.categories
        of_category = [_descending(np.where(categories == code, month, 0.0)) for code in range(tastes.shape[1])]
        hidden = np.zeros(past.n_items, np.bool_)
        rows: list[Ints] = []
        items: list[Ints] = []
        tiers: list[Ints] = []
        places: list[Ints] = []
        for row in range(len(past.users)):
            mine = excluded.indices[excluded.indptr[row] : excluded.indptr[row + 1]]
            hidden[mine] = True
            room = k + len(mine)
            found = []
            if tastes.shape[1]:
                likes = tastes[row]
                favourites = np.lexsort((np.arange(len(likes)), -likes))[:FAVOURITES]
                lists = [of_category[code][: room + CANDIDATES_BY_TASTE] for code in favourites if likes[code] > 0]
                if lists:
                    pool = np.concatenate(lists)
                    pool = pool[~hidden[pool]]
                    found.append((pool[np.lexsort((pool, -month[pool]))][: CANDIDATES_BY_TASTE + k], 0))
            for tier, order in enumerate(fill, start=1):
                pool = order[:room]
                found.append((pool[~hidden[pool]][:k], tier))
            for pool, tier in found:
                rows.append(np.full(len(pool), row))
                items.append(pool)
                tiers.append(np.full(len(pool), tier))
                places.append(np.arange(1, len(pool) + 1) if tier else np.zeros(len(pool), np.int64))
            hidden[mine] = False
        if not rows:
            return (np.empty(0, np.int64),) * 4
        return np.concatenate(rows), np.concatenate(items), np.concatenate(tiers), np.concatenate(places)

    # ranking ---------------------------------------------------------------------------------------------------------

    def affinity(self, pairs: Candidates) -> Reals:
        """Return how well each candidate fits its user's taste, as ``affinity`` in shared/domain/ranking.py."""
        tastes, catalog = self.past.tastes, self.past.catalog
        rows, items = pairs.rows, pairs.items
        total = np.zeros(len(rows))
        for scores, codes, weight in (
            (tastes.categories, catalog.categories, KIND_WEIGHTS["category"]),
            (tastes.brands, catalog.brands, KIND_WEIGHTS["brand"]),
        ):
            if scores.shape[1]:
                whole = scores.sum(axis=1)
                code = codes[items]
                share = scores[rows, np.maximum(code, 0)] / np.where(whole > 0, whole, 1.0)[rows]
                total += weight * np.where(code >= 0, np.minimum(share, 1.0), 0.0)
        if tastes.tags.shape[1]:
            whole = tastes.tags.sum(axis=1)
            shares = tastes.tags / np.where(whole > 0, whole, 1.0)[:, None]
            tags = catalog.tags
            counts = np.diff(tags.indptr)[items]
            pair = np.repeat(np.arange(len(rows)), counts)
            offset = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
            tag = tags.indices[np.repeat(tags.indptr[items], counts) + offset]
            sums = np.bincount(pair, weights=shares[rows[pair], tag], minlength=len(rows))
            total += KIND_WEIGHTS["tag"] * np.minimum(sums, 1.0)
        prices = catalog.prices[items]
        priced = (prices > 0) & tastes.has_prices[rows] & (total > 0)
        logs = np.log(np.where(prices > 0, prices, 1.0))
        distance = (logs - tastes.mean_log_price[rows]) / np.maximum(tastes.deviation[rows], 0.5)
        return np.where(priced, total * (0.5 + 0.5 * np.exp(-0.5 * distance**2)), total)

    def rank(self, pairs: Candidates, formula: Formula) -> NDArray[np.int64]:
        """Return the best items of each row, shape (n_rows, k), best first, padded with -1; see ``Formula``."""
        n_rows = len(self.past.users)
        rows = pairs.rows
        trend = self.past.trends[formula.trending_window][pairs.items]
        share = trend / _top(rows, trend, n_rows)
        fit = self.affinity(pairs) * (1.0 + formula.affinity_trend * share)
        fit = fit / _top(rows, fit, n_rows)
        score = formula.blend * pairs.cf / _top(rows, pairs.cf, n_rows) + (1.0 - formula.blend) * fit
        score += formula.trending_prior * share
        # what only fills up comes last, unless it fits the user's taste, or trending is asked to compete
        competes = (fit > 0) | ((formula.trending_prior > 0) & (share > 0))
        tiers = np.where(competes, 0, pairs.tiers)
        score = np.where(tiers > 0, 0.1 * share, score)
        places = np.where(tiers > 0, pairs.places, 0)
        order = np.lexsort((pairs.items, -trend, -score, places, tiers, rows))
        rows = rows[order]
        places = np.arange(len(rows)) - np.searchsorted(rows, rows)
        kept = places < self.k
        answer = np.full((n_rows, self.k), NOT_FILLED, np.int64)
        answer[rows[kept], places[kept]] = pairs.items[order][kept]
        return answer


def _descending(scores: Reals) -> Ints:
    """Return the positions of scores above 0, greatest first, ties by position."""
    positive = np.flatnonzero(scores > 0)
    return positive[np.lexsort((positive, -scores[positive]))]


def _top(rows: Ints, values: Reals, n_rows: int) -> Reals:
    """Return for each value the greatest of its row, and 1 where that is 0."""
    top = np.zeros(n_rows)
    np.maximum.at(top, rows, values)
    return np.where(top > 0, top, 1.0)[rows]


def best_per_row(rows: Ints, items: Ints, values: Reals, n: int) -> tuple[Ints, Ints, Reals]:
    """Return the ``n`` greatest values of each row, ties by item; ``rows`` is sorted."""
    if not len(rows):
        return rows, items, values
    bounds = np.flatnonzero(np.append(True, rows[1:] != rows[:-1]))
    keep = np.ones(len(rows), np.bool_)
    for start, end in zip(bounds.tolist(), np.append(bounds[1:], len(rows)).tolist(), strict=True):
        if end - start > n:
            row = values[start:end]
            keep[start:end] = row >= np.partition(row, end - start - n)[end - start - n]
    rows, items, values = rows[keep], items[keep], values[keep]
    order = np.lexsort((items, -values, rows))
    rows, items, values = rows[order], items[order], values[order]
    kept = np.arange(len(rows)) - np.searchsorted(rows, rows) < n
    return rows[kept], items[kept], values[kept]
