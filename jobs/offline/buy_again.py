"""The formula of ``/buy-again`` for many users of a snapshot at once, with the same results as the function.

shared/domain/replenishment.py explains the formula.
"""

from typing import NamedTuple

import numpy as np

from jobs.data.history import DAY, History
from jobs.models.arrays import BoolArray, Float64Array, Int64Array, TimeArray
from jobs.offline.recommender import NOT_FILLED
from jobs.offline.snapshot import Snapshot
from shared.domain.formula import PURCHASE_WEIGHT
from shared.domain.replenishment import (
    DAYS_DEFAULT,
    DAYS_MIN,
    GAPS_MIN,
    HALVINGS_MAX,
    INTERVAL_DAYS,
    OWN_GAPS_MIN,
    PRIOR_BUYERS,
    PURCHASES_MAX,
    REPEAT_SHARE_DEFAULT,
    REST_DAYS,
    TREND_FLOOR,
    ReplenishmentFormula,
)
from shared.domain.trending import WindowName


class Intervals(NamedTuple):
    """What the job bought_together stores for each product, shape (n_items,); the shop's value if it stores none."""

    median_days: Float64Array
    repeat_shares: Float64Array


class _Gaps(NamedTuple):
    """Days between a user's consecutive purchases of a product, keys ascending; all arrays of shape (n_gaps,)."""

    keys: Int64Array
    days: Float64Array


class _Medians(NamedTuple):
    """The median and the number of values for each key, keys ascending; all arrays of shape (n_keys,)."""

    keys: Int64Array
    medians: Float64Array
    counts: Int64Array


def find_intervals(history: History, now: np.datetime64) -> Intervals:
    """Return the usual intervals and repeat shares of products, from all users' purchases of the last INTERVAL_DAYS."""
    n_items = len(history.product_ids)
    is_recent = (history.weights == PURCHASE_WEIGHT) & (history.times > now - INTERVAL_DAYS * DAY)
    keys = history.users[is_recent].astype(np.int64) * n_items + history.items[is_recent]
    pairs, day_counts = np.unique(_distinct_days(keys, history.times[is_recent])[0], return_counts=True)
    buyers = np.bincount(pairs % n_items, minlength=n_items)
    again = np.bincount(pairs[day_counts > 1] % n_items, minlength=n_items)
    shop_share = REPEAT_SHARE_DEFAULT if not len(pairs) else float(again.sum() / buyers.sum())
    repeat_shares = np.where(buyers > 0, (again + PRIOR_BUYERS * shop_share) / (buyers + PRIOR_BUYERS), shop_share)
    gaps = _gaps(keys, history.times[is_recent])
    median_days = np.full(n_items, float(np.median(gaps.days)) if len(gaps.days) else DAYS_DEFAULT)
    of_items = _medians(_Gaps(gaps.keys % n_items, gaps.days))
    has_own = of_items.counts >= GAPS_MIN
    median_days[of_items.keys[has_own]] = of_items.medians[has_own]
    return Intervals(median_days, repeat_shares)


def _distinct_days(keys: Int64Array, times: TimeArray) -> tuple[Int64Array, Int64Array]:
    """Return the distinct pairs of key and day, sorted by key, then day."""
    days = times.astype("datetime64[D]").astype(np.int64)
    order = np.lexsort((days, keys))
    keys, days = keys[order], days[order]
    is_first = np.append(True, (keys[1:] != keys[:-1]) | (days[1:] != days[:-1]))[: len(keys)]
    return keys[is_first], days[is_first]


def _gaps(keys: Int64Array, times: TimeArray) -> _Gaps:
    keys, days = _distinct_days(keys, times)
    is_same = keys[1:] == keys[:-1]
    return _Gaps(keys[1:][is_same], np.diff(days)[is_same].astype(np.float64))


def _medians(gaps: _Gaps) -> _Medians:
    order = np.lexsort((gaps.days, gaps.keys))
    days = gaps.days[order]
    keys, starts, counts = np.unique(gaps.keys[order], return_index=True, return_counts=True)
    return _Medians(keys, (days[starts + (counts - 1) // 2] + days[starts + counts // 2]) / 2, counts)


class BuyAgainRecommender:
    """Ranks the products that each user of a snapshot bought.

    Parameters
    ----------
    intervals : the products' intervals, in the codes of the snapshot's history; computed from it by default.
    """

    def __init__(self, snapshot: Snapshot, intervals: Intervals | None = None) -> None:
        self._active: BoolArray = snapshot.active
        self._n_rows, self._n_items = len(snapshot.users), snapshot.n_items
        self._trends = snapshot.trends
        intervals = intervals or find_intervals(snapshot.history, snapshot.now)
        history = snapshot.history
        row_of_user = np.full(len(history.user_ids), -1, np.int64)
        row_of_user[snapshot.users] = np.arange(self._n_rows)
        events = np.flatnonzero((history.weights == PURCHASE_WEIGHT) & (row_of_user[history.users] >= 0))
        keys = row_of_user[history.users[events]] * self._n_items + history.items[events]
        times = history.times[events]
        ages = np.asarray(np.maximum((snapshot.now - times) / DAY, 0.0), np.float64)
        pairs, pair_of_event = np.unique(keys, return_inverse=True)
        days = np.full(len(pairs), np.inf)
        np.minimum.at(days, pair_of_event, ages)
        # keep each user's latest products, and of the user's latest purchases those of these products
        kept = _first_of_rows(pairs // self._n_items, days)
        new_place = np.cumsum(kept) - 1
        is_latest = _first_of_rows(keys // self._n_items, ages)
        counted = is_latest & kept[pair_of_event]
        self._pair_of_event = new_place[pair_of_event[counted]]
        self._ages = ages[counted]
        self._days = np.maximum(days[kept], DAYS_MIN)
        self._counts = np.bincount(pair_of_event, minlength=len(pairs))[kept].astype(np.float64)
        self._rows, self._items = pairs[kept] // self._n_items, pairs[kept] % self._n_items
        self._repeat_shares = intervals.repeat_shares[self._items]
        usual_days = intervals.median_days[self._items]
        own = _medians(_gaps(keys[is_latest], times[is_latest]))
        has_own = own.counts >= OWN_GAPS_MIN
        places = np.searchsorted(pairs[kept], own.keys[has_own])
        is_listed = np.isin(own.keys[has_own], pairs[kept])
        usual_days[places[is_listed]] = own.medians[has_own][is_listed]
        self._log_ratios = np.log(self._days / usual_days)
        self._trend_shares: dict[str, Float64Array] = {}

    def scores(self, formula: ReplenishmentFormula) -> Float64Array:
        """Return the score of each pair of a user and a product, shape (n_pairs,)."""
        n_pairs = len(self._rows)
        if formula.half_life_days is None:
            purchases = self._counts
        else:
            halvings = np.minimum(self._ages / formula.half_life_days, HALVINGS_MAX)
            sums = np.bincount(self._pair_of_event, weights=2.0**-halvings, minlength=n_pairs)
            n_counted = np.bincount(self._pair_of_event, minlength=n_pairs)
            of_last = 2.0 ** -np.minimum(self._days / formula.half_life_days, HALVINGS_MAX)
            purchases = self._counts * np.where(n_counted > 0, sums / np.maximum(n_counted, 1), of_last)
        trend_shares = self._trend_shares_of(formula.trending_window)
        return np.asarray(
            (purchases + formula.repeat_evidence * self._repeat_shares)
            * (trend_shares + TREND_FLOOR) ** formula.trend_power
            * np.exp(-0.5 * formula.timing * self._log_ratios**2)
        )

    def recommend(self, formula: ReplenishmentFormula, k: int) -> Int64Array:
        """Return the best items of each user, shape (n_rows, k), best first, padded with −1."""
        return self.order(self.scores(formula), self._days < REST_DAYS, k)

    def most_often(self, k: int) -> Int64Array:
        """Return the items that each user bought most often, ties by the latest; shape as in ``recommend``."""
        return self.order(self._counts - self._days / (1.0 + self._days), np.zeros(len(self._days), np.bool_), k)

    def most_recent(self, k: int) -> Int64Array:
        """Return the items that each user bought last, the latest first; shape as in ``recommend``."""
        return self.order(-self._days, np.zeros(len(self._days), np.bool_), k)

    def order(self, scores: Float64Array, rests: BoolArray, k: int) -> Int64Array:
        """Return each user's items by ``scores``, those in ``rests`` last; shape (n_rows, k), padded with −1."""
        active = np.flatnonzero(self._active[self._items])
        order = active[np.lexsort((self._items[active], -scores[active], rests[active], self._rows[active]))]
        rows = self._rows[order]
        places = np.arange(len(order)) - np.searchsorted(rows, rows)
        answers = np.full((self._n_rows, k), NOT_FILLED, np.int64)
        shown = places < k
        answers[rows[shown], places[shown]] = self._items[order][shown]
        return answers

    def _trend_shares_of(self, window: WindowName) -> Float64Array:
        """Return each pair's trend divided by the greatest among the user's products, shape (n_pairs,)."""
        if window not in self._trend_shares:
            trends = self._trends[window][self._items]
            greatest = np.zeros(self._n_rows)
            np.maximum.at(greatest, self._rows, trends)
            greatest = greatest[self._rows]
            self._trend_shares[window] = np.where(greatest > 0, trends / np.where(greatest > 0, greatest, 1.0), 0.0)
        return self._trend_shares[window]


def _first_of_rows(rows: Int64Array, ages: Float64Array) -> BoolArray:
    """Return whether each entry is among the PURCHASES_MAX most recent of its row, shape (n_entries,)."""
    order = np.lexsort((ages, rows))
    ordered = rows[order]
    is_first = np.zeros(len(rows), np.bool_)
    is_first[order] = np.arange(len(rows)) - np.searchsorted(ordered, ordered) < PURCHASES_MAX
    return is_first
