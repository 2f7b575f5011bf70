"""Tunes the formula of ``/buy-again`` on what users bought again in the shop's own last days.

There are few parameters and no model to fit, so the search takes seconds and needs no budget: it tries the values of
one parameter after another until none gains. The same history gives the same formula, whatever else the machine does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy import sparse

from jobs.data.catalog import Catalog
from jobs.data.history import DAY, History
from jobs.models.arrays import Float64Array, Int64Array, Matrix
from jobs.offline.buy_again import BuyAgainRecommender
from jobs.offline.metrics import find_hits, ndcg
from jobs.offline.snapshot import Snapshot
from jobs.offline.split import select_events
from jobs.tuning.plan import TUNING_EVENTS, sample_users
from jobs.tuning.trial import TUNED_GAIN_MIN, is_ahead, is_better
from shared.domain.formula import PURCHASE_WEIGHT, SCORED_WINDOWS
from shared.domain.replenishment import ReplenishmentFormula

K: Final = 20
# The horizon in days within which users buy again: the first of these with ENOUGH_USERS, or the last.
HORIZON_DAYS: Final = (7.0, 14.0)
ENOUGH_USERS: Final = 500
# With fewer held-out users the defaults are kept, because differences are noise.
USERS_MIN: Final = 50
# The greatest number of users whose lists one evaluation scores, over all windows.
USERS_MAX: Final = 1_600
# The greatest number of consecutive windows at the end of the history, and the least share of it before the earliest.
WINDOWS_MAX: Final = 4
TRAIN_MIN: Final = 0.5
# Rounds through all parameters.
ROUNDS_MAX: Final = 3

VALUES: Final[dict[str, Sequence[Any]]] = {
    "trend_power": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "trending_window": SCORED_WINDOWS,
    "half_life_days": (15.0, 30.0, 60.0, 120.0, 240.0, None),
    "repeat_evidence": (0.0, 0.1, 0.3, 1.0, 3.0),
    "timing": (0.0, 0.03, 0.1, 0.3, 1.0, 3.0),
}


@dataclass(frozen=True)
class Window:
    """Users who bought something again within a period, with their histories up to its start.

    relevant : shape (n_rows, n_items), 1 where a user bought a product that they had bought before.
    users : int64, shape (n_rows,), the users' codes in the history.
    """

    recommender: BuyAgainRecommender
    relevant: Matrix
    users: Int64Array

    def score(self, answers: Int64Array) -> Float64Array:
        """Return NDCG of each user's answer, shape (n_rows,)."""
        return ndcg(find_hits(answers, self.relevant), np.diff(self.relevant.indptr).astype(np.int64))


@dataclass(frozen=True)
class BuyAgainChoice:
    """The formula to publish, its mean NDCG@20 and that of the defaults; None if there was nothing to tune on."""

    formula: ReplenishmentFormula
    users: int
    horizon_days: float | None = None
    score: float | None = None
    default_score: float | None = None

    def metrics(self) -> dict[str, Any]:
        """Return the JSON object that ``models.metrics`` stores."""
        return {
            "ndcg@20": None if self.score is None else round(self.score, 5),
            "ndcg@20_of_defaults": None if self.default_score is None else round(self.default_score, 5),
            "users": self.users,
            "horizon_days": self.horizon_days,
        }


def cut_windows(
    history: History, horizon_days: float, *, windows_max: int = WINDOWS_MAX, users_max: int = USERS_MAX, seed: int = 0
) -> list[Window]:
    """Return the last windows of the history, the latest first; fewer if too little history lies before them.

    Windows in which no user bought anything again are left out.
    """
    purchases = select_events(history, history.weights == PURCHASE_WEIGHT)
    if len(purchases) == 0:
        return []
    first, last = history.times.min(), history.times.max()
    windows = []
    for number in range(1, windows_max + 1):
        cut = last - np.timedelta64(round(number * horizon_days * 86_400e6), "us")
        if (cut - first) / DAY < TRAIN_MIN * ((last - first) / DAY):
            break
        end = last - np.timedelta64(round((number - 1) * horizon_days * 86_400e6), "us")
        window = _cut_window(history, purchases, cut, end, users_max // windows_max, seed)
        if window is not None:
            windows.append(window)
    return windows


def _cut_window(
    history: History, purchases: History, cut: np.datetime64, end: np.datetime64, users_max: int, seed: int
) -> Window | None:
    n_items = len(history.product_ids)
    is_before = purchases.times <= cut
    keys = purchases.users.astype(np.int64) * n_items + purchases.items
    again = np.intersect1d(keys[is_before], keys[~is_before & (purchases.times <= end)])
    users = np.unique(again // n_items)
    if not len(users):
        return None
    if len(users) > users_max:
        users = np.sort(np.random.default_rng(seed).choice(users, users_max, replace=False))
        again = again[np.isin(again // n_items, users)]
    rows = np.searchsorted(users, again // n_items)
    relevant = sparse.csr_array((np.ones(len(again)), (rows, again % n_items)), shape=(len(users), n_items))
    train = select_events(history, history.times <= cut)
    snapshot = Snapshot(train, cut, users, np.ones(n_items, np.bool_), Catalog.unknown(n_items))
    return Window(BuyAgainRecommender(snapshot), relevant, users)


def choose_formula(history: History, *, seed: int = 0) -> BuyAgainChoice:
    """Return the formula that ranks best what users bought again in the last days of a history.

    A large history is sampled by users, as for the choice of the model. The defaults are kept if fewer than USERS_MIN
    users bought something again, or if the gain of tuning is within noise.
    """
    history = sample_users(history, TUNING_EVENTS, seed)
    windows: list[Window] = []
    horizon_days = HORIZON_DAYS[0]
    for horizon_days in HORIZON_DAYS:
        windows = cut_windows(history, horizon_days, seed=seed)
        if sum(len(window.users) for window in windows) >= ENOUGH_USERS:
            break
    n_users = sum(len(window.users) for window in windows)
    if n_users < USERS_MIN:
        return BuyAgainChoice(ReplenishmentFormula(), n_users)
    default_scores = score_formula(windows, ReplenishmentFormula())
    formula, scores = _tune(windows, ReplenishmentFormula(), default_scores)
    if not is_ahead(scores, default_scores, TUNED_GAIN_MIN):
        formula, scores = ReplenishmentFormula(), default_scores
    return BuyAgainChoice(formula, n_users, horizon_days, float(scores.mean()), float(default_scores.mean()))


def score_formula(windows: Sequence[Window], formula: ReplenishmentFormula) -> Float64Array:
    """Return NDCG@20 of each user of each window, shape (n_users,)."""
    return np.concatenate([window.score(window.recommender.recommend(formula, K)) for window in windows])


def _tune(
    windows: Sequence[Window], formula: ReplenishmentFormula, scores: Float64Array
) -> tuple[ReplenishmentFormula, Float64Array]:
    for _ in range(ROUNDS_MAX):
        before = formula
        for name, values in VALUES.items():
            for value in values:
                changed = formula.with_(**{name: value})
                if changed == formula:
                    continue
                new = score_formula(windows, changed)
                if is_better(new, scores):
                    formula, scores = changed, new
        if formula == before:
            break
    return formula, scores
