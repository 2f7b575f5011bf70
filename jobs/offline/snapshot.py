"""A shop as it stood at one moment: what the serving path knew of its users and products then."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.models.arrays import Matrix
from shared.domain.events import EVENT_WEIGHTS, EventType
from shared.domain.formula import Formula, Returning, TrendingWindow
from shared.domain.preferences import HALF_LIFE, MAX_HALVINGS
from shared.domain.trending import WINDOWS

# as shared/storage/recommending/candidates.py: the longest profile, and how far back "met before" is remembered
PROFILE_LIMIT: Final = 200
MET_LIMIT: Final = 1000
DAY: Final = np.timedelta64(86_400_000_000, "us")
_WINDOW_NAMES: Final[dict[str, TrendingWindow]] = {"7d": "7d", "30d": "30d"}


@dataclass(frozen=True)
class Recent:
    """Events of some users, newest first by user: rows (positions in the list of users), items, weights, days of age
    before the user's newest, and place (0 is the newest), all of shape (n_kept,)."""

    rows: NDArray[np.int64]
    items: NDArray[np.int64]
    weights: NDArray[np.float64]
    ages: NDArray[np.float64]
    places: NDArray[np.int64]


@dataclass(frozen=True)
class Met:
    """The products of the last events of each user, each once, by row, then the newest first.

    starts : shape (n_rows + 1,), where each row begins. All others of shape (n_pairs,): items, the greatest of the
    events' weights, their number, days of age before the user's newest event, and rank, 0 first and at most 499.
    """

    starts: NDArray[np.int64]
    items: NDArray[np.int64]
    weights: NDArray[np.float64]
    times: NDArray[np.float64]
    ages: NDArray[np.float64]
    ranks: NDArray[np.int64]

    @classmethod
    def of(cls, recent: Recent, n_events: int, n_rows: int, n_items: int) -> "Met":
        """Return what the last ``n_events`` of each user say."""
        kept = recent.places < n_events
        # newest first, so the first of each pair has its age
        pairs, first, of, times = np.unique(
            recent.rows[kept] * n_items + recent.items[kept], return_index=True, return_inverse=True, return_counts=True
        )
        weights = np.zeros(len(pairs))
        np.maximum.at(weights, of, recent.weights[kept])
        rows, items, ages = pairs // n_items, pairs % n_items, recent.ages[kept][first]
        order = np.lexsort((items, ages, rows))
        rows = rows[order]
        starts = np.searchsorted(rows, np.arange(n_rows + 1))
        ranks = np.minimum(np.arange(len(rows)) - starts[rows], 499)
        return cls(starts, items[order], weights[order], times[order].astype(np.float64), ages[order], ranks)


@dataclass(frozen=True)
class Past:
    """The events before ``now``, seen for ``users`` (codes, ascending, shape (n_rows,)).

    ``active`` : bool, shape (n_items,), what may be recommended.
    """

    history: History
    now: np.datetime64
    users: NDArray[np.int64]
    active: NDArray[np.bool_]
    catalog: Catalog

    @property
    def n_items(self) -> int:
        """How many products there are."""
        return len(self.history.product_ids)

    @cached_property
    def _mine(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The events of these users as positions in the history, and each event's row, newest first by row."""
        row_of = np.full(len(self.history.user_ids), -1, np.int64)
        row_of[self.users] = np.arange(len(self.users))
        events = np.flatnonzero(row_of[self.history.users] >= 0)
        rows = row_of[self.history.users[events]]
        order = np.lexsort((-self.history.times[events].astype(np.int64), rows))
        return events[order].astype(np.int64), rows[order]

    @cached_property
    def recent(self) -> Recent:
        """The last events of each user, at most MET_LIMIT."""
        events, rows = self._mine
        starts = np.searchsorted(rows, np.arange(len(self.users)))
        places = np.arange(len(rows)) - starts[rows]
        times = self.history.times[events]
        ages = (times[starts[rows]] - times) / DAY
        kept = places < MET_LIMIT
        return Recent(
            rows[kept],
            self.history.items[events][kept].astype(np.int64),
            self.history.weights[events][kept].astype(np.float64),
            ages[kept],
            places[kept],
        )

    def profiles(self, formula: Formula) -> Matrix:
        """Return the weights of the users' profiles, shape (n_rows, n_items)."""
        met = self._met(min(formula.profile_events, PROFILE_LIMIT))
        values = met.weights**formula.weight_power * formula.rank_decay**met.ranks
        if formula.frequency_power > 0:
            values *= met.times**formula.frequency_power
        if formula.half_life_days is not None:
            values *= 2.0 ** -np.minimum(met.ages / formula.half_life_days, 200)
        return sparse.csr_array((values, met.items, met.starts), shape=(len(self.users), self.n_items))

    def _met(self, n_events: int) -> "Met":
        if n_events not in self._known_profiles:
            self._known_profiles[n_events] = Met.of(self.recent, n_events, len(self.users), self.n_items)
        return self._known_profiles[n_events]

    @cached_property
    def _known_profiles(self) -> "dict[int, Met]":
        return {}

    def excluded(self, returning: Returning) -> Matrix:
        """Return what may not be shown to each user, shape (n_rows, n_items), 1 where so."""
        if returning == "unseen":
            rows, items = self.recent.rows, self.recent.items
            bought_rows, bought_items = self._bought
            rows, items = np.concatenate((rows, bought_rows)), np.concatenate((items, bought_items))
        elif returning == "unbought":
            rows, items = self._bought
        else:
            rows, items = (np.empty(0, np.int64),) * 2
        found = sparse.csr_array((np.ones(len(rows)), (rows, items)), shape=(len(self.users), self.n_items))
        found.data[:] = 1
        return found

    @cached_property
    def _bought(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        events, rows = self._mine
        bought = self.history.weights[events] == EVENT_WEIGHTS[EventType.PURCHASE]
        return rows[bought], self.history.items[events][bought].astype(np.int64)

    @cached_property
    def trends(self) -> dict[TrendingWindow, NDArray[np.float64]]:
        """Trending scores by window, and purchase counts as "all", each of shape (n_items,); 0 for what is inactive."""
        hours = self.now.astype("datetime64[h]") - self.history.times.astype("datetime64[h]")
        ages = np.maximum(hours.astype(np.int64), 0) / 24
        found: dict[TrendingWindow, NDArray[np.float64]] = {}
        for window in WINDOWS:
            weights = self.history.weights * np.exp(-window.decay_per_day * ages) * (ages < window.days)
            scores = np.bincount(self.history.items, weights=weights, minlength=self.n_items)
            found[_WINDOW_NAMES[window.name]] = np.asarray(scores * self.active, np.float64)
        bought = self.history.weights == EVENT_WEIGHTS[EventType.PURCHASE]
        counts = np.bincount(self.history.items[bought], minlength=self.n_items)
        found["all"] = np.asarray(counts * self.active, np.float64)
        return found

    @cached_property
    def tastes(self) -> "Tastes":
        """What these users like, by the rules of shared/domain/preferences.py, as of now."""
        events, rows = self._mine
        items = self.history.items[events].astype(np.int64)
        ages = np.maximum((self.now - self.history.times[events]) / np.timedelta64(HALF_LIFE), 0)
        weights = np.asarray(self.history.weights[events] * 2.0 ** -np.minimum(ages, MAX_HALVINGS), np.float64)
        likes: Matrix = sparse.csr_array((weights, (rows, items)), shape=(len(self.users), self.n_items))
        catalog = self.catalog
        prices = np.where(catalog.prices > 0, catalog.prices, 1.0)
        priced = (catalog.prices > 0).astype(np.float64)
        whole = np.asarray(likes @ priced)
        safe = np.where(whole > 0, whole, 1.0)
        mean = likes @ (np.log(prices) * priced) / safe
        square = likes @ (np.log(prices) ** 2 * priced) / safe
        return Tastes(
            categories=_by_code(likes, catalog.categories),
            brands=_by_code(likes, catalog.brands),
            tags=np.asarray((likes @ catalog.tags).toarray()),
            has_prices=whole > 0,
            mean_log_price=mean,
            deviation=np.sqrt(np.maximum(square - mean**2, 0.0)),
        )


def _by_code(likes: Matrix, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    known = np.flatnonzero(codes >= 0)
    width = int(codes.max(initial=-1)) + 1
    belongs = sparse.csr_array((np.ones(len(known)), (known, codes[known])), shape=(len(codes), width))
    return np.asarray((likes @ belongs).toarray())


@dataclass(frozen=True)
class Tastes:
    """Decayed scores of users by category, brand and tag, shapes (n_rows, n_categories), …, and their price bands."""

    categories: NDArray[np.float64]
    brands: NDArray[np.float64]
    tags: NDArray[np.float64]
    has_prices: NDArray[np.bool_]
    mean_log_price: NDArray[np.float64]
    deviation: NDArray[np.float64]
