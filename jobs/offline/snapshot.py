"""A shop as of a point in time: what the serving path knew about its users and products then."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy import sparse

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.models.arrays import BoolArray, Float64Array, Int64Array, Matrix
from shared.domain.formula import (
    HALVINGS_MAX,
    PROFILE_EVENTS_MAX,
    PURCHASE_WEIGHT,
    RANK_MAX,
    RECENT_MINUTES,
    SEEN_EVENTS_MAX,
    VIEW_WEIGHT,
    ExclusionPolicy,
    Formula,
    TrendingWindow,
)
from shared.domain.preferences import HALF_LIFE, MAX_HALVINGS
from shared.domain.trending import WINDOWS

DAY: Final = np.timedelta64(86_400_000_000, "us")


@dataclass(frozen=True)
class RecentEvents:
    """The latest events of each user, sorted by row, then newest first. All arrays have the shape (n_recent,).

    rows : positions in ``Snapshot.users``.
    items, weights : the events' items and weights.
    ages : days before the user's newest event.
    positions : 0 for the user's newest event.
    """

    rows: Int64Array
    items: Int64Array
    weights: Float64Array
    ages: Float64Array
    positions: Int64Array


@dataclass(frozen=True)
class Interactions:
    """The products of each user's latest events, each product once per user, sorted by row, then newest first.

    starts : shape (n_rows + 1,), where the pairs of each row begin. All other arrays have the shape (n_pairs,).
    items : products.
    weights : the greatest weight of the pair's events.
    event_counts : number of the pair's events.
    ages : days between the pair's newest event and the user's newest event.
    ranks : 0 for the product met last; at most RANK_MAX − 1.
    """

    starts: Int64Array
    items: Int64Array
    weights: Float64Array
    event_counts: Float64Array
    ages: Float64Array
    ranks: Int64Array

    @classmethod
    def from_events(cls, recent: RecentEvents, n_events: int, n_rows: int, n_items: int) -> "Interactions":
        """Return the interactions in the latest ``n_events`` events of each user."""
        mask = recent.positions < n_events
        # events are newest first, so the first event of a pair has the pair's age
        pairs, first, pair_of_event, event_counts = np.unique(
            recent.rows[mask] * n_items + recent.items[mask], return_index=True, return_inverse=True, return_counts=True
        )
        weights = np.zeros(len(pairs))
        np.maximum.at(weights, pair_of_event, recent.weights[mask])
        rows, items, ages = pairs // n_items, pairs % n_items, recent.ages[mask][first]
        order = np.lexsort((items, ages, rows))
        rows = rows[order]
        starts = np.searchsorted(rows, np.arange(n_rows + 1))
        ranks = np.minimum(np.arange(len(rows)) - starts[rows], RANK_MAX - 1)
        return cls(starts, items[order], weights[order], event_counts[order].astype(np.float64), ages[order], ranks)


@dataclass(frozen=True)
class KnownProducts:
    """The products that users know, each once per user, sorted by row, then item. All arrays have the shape (n_known,).

    times : when the user last met or bought the product.  is_bought : whether the user bought it.
    """

    rows: Int64Array
    items: Int64Array
    times: Int64Array
    is_bought: BoolArray

    def select(self, order: Int64Array, shape: tuple[int, int]) -> Matrix:
        """Return the products at the positions ``order``, rows ascending, as a matrix of ones."""
        starts = np.searchsorted(self.rows[order], np.arange(shape[0] + 1))
        return sparse.csr_array((np.ones(len(order)), self.items[order], starts), shape=shape)


@dataclass(frozen=True)
class TasteProfiles:
    """All users' tastes at the snapshot's time; ``TasteProfile`` of shared/domain/ranking.py is for one user.

    categories, brands, tags : sums of weights, shapes (n_rows, n_categories), (n_rows, n_brands), (n_rows, n_tags).
    has_prices : shape (n_rows,), whether the user has a price band.
    mean_log_price, deviation : shape (n_rows,), the price band.
    """

    categories: Float64Array
    brands: Float64Array
    tags: Float64Array
    has_prices: BoolArray
    mean_log_price: Float64Array
    deviation: Float64Array


@dataclass(frozen=True)
class Snapshot:
    """The events before ``now``, and what the shop derived from them for ``users``.

    Attributes
    ----------
    history : events up to ``now``.
    now : the time from which trends and preferences decay.
    users : codes, ascending, shape (n_rows,); row r of every result belongs to ``users[r]``.
    active : shape (n_items,), whether each product may be recommended.
    catalog : in the codes of the history.
    is_live : whether each user's newest event counts as happening now, whatever its time.
    trend_history : the events that trends are computed from; those of ``history`` by default.
    """

    history: History
    now: np.datetime64
    users: Int64Array
    active: BoolArray
    catalog: Catalog
    is_live: bool = False
    trend_history: History | None = None

    @property
    def n_items(self) -> int:
        """Return the number of products."""
        return len(self.history.product_ids)

    @cached_property
    def _user_events(self) -> tuple[Int64Array, Int64Array]:
        """The users' events as positions in the history, and the row of each; sorted by row, then newest first."""
        row_of_user = np.full(len(self.history.user_ids), -1, np.int64)
        row_of_user[self.users] = np.arange(len(self.users))
        events = np.flatnonzero(row_of_user[self.history.users] >= 0)
        rows = row_of_user[self.history.users[events]]
        order = np.lexsort((-self.history.times[events].astype(np.int64), rows))
        return events[order].astype(np.int64), rows[order]

    @cached_property
    def recent(self) -> RecentEvents:
        """The latest events of each user, at most SEEN_EVENTS_MAX."""
        events, rows = self._user_events
        starts = np.searchsorted(rows, np.arange(len(self.users)))
        positions = np.arange(len(rows)) - starts[rows]
        times = self.history.times[events]
        ages = (times[starts[rows]] - times) / DAY
        mask = positions < SEEN_EVENTS_MAX
        return RecentEvents(
            rows[mask],
            self.history.items[events][mask].astype(np.int64),
            self.history.weights[events][mask].astype(np.float64),
            ages[mask],
            positions[mask],
        )

    def profiles(self, formula: Formula) -> Matrix:
        """Return the weights w of the users' profiles, shape (n_rows, n_items); see shared/domain/formula.py."""
        interactions = self._interactions(min(formula.profile_events, PROFILE_EVENTS_MAX))
        values = interactions.weights**formula.weight_power * formula.rank_decay**interactions.ranks
        if formula.frequency_power > 0:
            values *= interactions.event_counts**formula.frequency_power
        if formula.half_life_days is not None:
            values *= 2.0 ** -np.minimum(interactions.ages / formula.half_life_days, HALVINGS_MAX)
        return sparse.csr_array((values, interactions.items, interactions.starts), shape=self._shape)

    @property
    def _shape(self) -> tuple[int, int]:
        return len(self.users), self.n_items

    def _interactions(self, n_events: int) -> Interactions:
        if n_events not in self._interactions_by_length:
            self._interactions_by_length[n_events] = Interactions.from_events(self.recent, n_events, *self._shape)
        return self._interactions_by_length[n_events]

    @cached_property
    def _interactions_by_length(self) -> dict[int, Interactions]:
        return {}

    def known(self, policy: ExclusionPolicy) -> KnownProducts:
        """Return the known products that a policy concerns: those that it excludes or, for "unmet", all of them."""
        events, rows = self._user_events
        starts = np.searchsorted(rows, np.arange(len(self.users)))
        times = self.history.times[events]
        is_bought = self.history.weights[events] == PURCHASE_WEIGHT
        is_met = np.arange(len(rows)) - starts[rows] < SEEN_EVENTS_MAX
        if policy == "nothing":
            is_met, is_bought = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
        elif policy == "bought":
            latest = times[starts[rows]] if self.is_live else self.now
            is_met &= times > latest - np.timedelta64(RECENT_MINUTES, "m")
            is_met &= self.history.weights[events] == VIEW_WEIGHT
        selected = is_met | is_bought
        keys = rows[selected] * self.n_items + self.history.items[events[selected]]
        pairs, pair_of_event = np.unique(keys, return_inverse=True)
        known_times = np.full(len(pairs), np.iinfo(np.int64).min)
        np.maximum.at(known_times, pair_of_event, times[selected].astype(np.int64))
        pair_is_bought = np.zeros(len(pairs), np.bool_)
        np.logical_or.at(pair_is_bought, pair_of_event, is_bought[selected])
        return KnownProducts(pairs // self.n_items, pairs % self.n_items, known_times, pair_is_bought)

    def excluded(self, policy: ExclusionPolicy) -> Matrix:
        """Return the known products that may not be shown, and their variants: shape (n_rows, n_items), 1 for each."""
        known = self.known("nothing" if policy == "unmet" else policy)
        excluded = known.select(np.arange(len(known.rows)), self._shape)
        groups = self.catalog.groups
        if groups is None:
            return excluded
        members = np.flatnonzero(groups >= 0)
        in_group = sparse.csr_array(
            (np.ones(len(members)), (members, groups[members])), shape=(self.n_items, int(groups.max()) + 1)
        )
        with_variants = sparse.csr_array(excluded + (excluded @ in_group) @ in_group.T)
        with_variants.data[:] = 1
        with_variants.sort_indices()
        return with_variants

    def returning(self, policy: ExclusionPolicy) -> Matrix:
        """Return the known products that fill a short answer, shape (n_rows, n_items), each row in that order."""
        known = self.known(policy)
        if policy == "unmet":
            order = np.lexsort((known.items, -known.times, known.rows))
        else:
            order = np.lexsort((known.items, known.times, known.is_bought, known.rows))
        return known.select(order, self._shape)

    @cached_property
    def trends(self) -> dict[TrendingWindow, Float64Array]:
        """The scores of each trending window, see ``Formula``: shape (n_items,), 0 for inactive products.

        The formula of the windows of 7 and 30 days is that of shared/domain/trending.py.
        """
        history = self.history if self.trend_history is None else self.trend_history
        hours = self.now.astype("datetime64[h]") - history.times.astype("datetime64[h]")
        ages = np.maximum(hours.astype(np.int64), 0) / 24
        trends: dict[TrendingWindow, Float64Array] = {}
        for window in WINDOWS:
            weights = history.weights * np.exp(-window.decay_per_day * ages) * (ages < window.days)
            scores = np.bincount(history.items, weights=weights, minlength=self.n_items)
            trends[window.name] = np.asarray(scores * self.active, np.float64)
        bought = history.weights == PURCHASE_WEIGHT
        counts = np.bincount(history.items[bought], minlength=self.n_items)
        trends["all"] = np.asarray(counts * self.active, np.float64)
        # clicks on recommendations have the weight of views, and cannot be told from them
        views = np.bincount(history.items[history.weights == VIEW_WEIGHT], minlength=self.n_items)
        engagement = VIEW_WEIGHT * views + PURCHASE_WEIGHT * counts
        trends["engagement"] = np.asarray(engagement * self.active, np.float64)
        return trends

    @cached_property
    def preferences(self) -> TasteProfiles:
        """The users' preferences as of ``now``, by the rules of shared/domain/preferences.py."""
        events, rows = self._user_events
        items = self.history.items[events].astype(np.int64)
        ages = np.maximum((self.now - self.history.times[events]) / np.timedelta64(HALF_LIFE), 0)
        weights = np.asarray(self.history.weights[events] * 2.0 ** -np.minimum(ages, MAX_HALVINGS), np.float64)
        return self.tastes_from(sparse.csr_array((weights, (rows, items)), shape=self._shape))

    def tastes_from(self, weights: Matrix) -> TasteProfiles:
        """Return the users' tastes where each product counts with its weight, shape (n_rows, n_items)."""
        catalog = self.catalog
        prices = np.where(catalog.prices > 0, catalog.prices, 1.0)
        has_price = (catalog.prices > 0).astype(np.float64)
        total = np.asarray(weights @ has_price)
        divisor = np.where(total > 0, total, 1.0)
        mean = weights @ (np.log(prices) * has_price) / divisor
        mean_square = weights @ (np.log(prices) ** 2 * has_price) / divisor
        return TasteProfiles(
            categories=_sum_by_code(weights, catalog.categories),
            brands=_sum_by_code(weights, catalog.brands),
            tags=np.asarray((weights @ catalog.tags).toarray()),
            has_prices=total > 0,
            mean_log_price=mean,
            deviation=np.sqrt(np.maximum(mean_square - mean**2, 0.0)),
        )


def _sum_by_code(weights: Matrix, codes: Int64Array) -> Float64Array:
    """Return the sums of each row's weights of items with the same code, shape (n_rows, n_codes)."""
    known = np.flatnonzero(codes >= 0)
    n_codes = int(codes.max(initial=-1)) + 1
    membership = sparse.csr_array((np.ones(len(known)), (known, codes[known])), shape=(len(codes), n_codes))
    return np.asarray((weights @ membership).toarray())
