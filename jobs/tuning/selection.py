"""Choosing a shop's model on its own held-out days, and fitting the choice on all of its history."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.data.weighting import Weighting
from jobs.models.errors import Unsuitable
from jobs.models.neighbours import Neighbours
from jobs.models.pairs import numba_installed
from jobs.offline.snapshot import DAY
from jobs.offline.split import NothingToMeasure, Split, last_days, leave_last_out, only
from jobs.tuning.fitting import NEIGHBOURS, fit
from jobs.tuning.objective import Bench
from jobs.tuning.search import tune
from jobs.tuning.space import SPACES, Space
from jobs.tuning.trial import Clock, Deadline, Trial
from shared.domain.formula import Formula

# Below this many events, or held-out users, differences between candidates are noise.
SMALL_SHOP_EVENTS: Final = 1_000
SMALL_SHOP_USERS: Final = 25
# enough held-out users to tell candidates apart; the holdout grows until it has them
ENOUGH_USERS: Final = 500
HOLDOUT_DAYS: Final = (7.0, 14.0, 30.0, 60.0)
# what suits one month may not suit the next: the cut is also made earlier, twice at least where there is room, and
# until so many users are held out in all
MIN_FOLDS: Final = 2
MAX_FOLDS: Final = 4
USERS_IN_ALL: Final = 1_500
# compiling pays from about here
COMPILED_FROM_EVENTS: Final = 10_000
COMPILED_FROM_SECONDS: Final = 20.0
# a model is tuned on a sample of users of about this many events, and fitted on all
TUNING_EVENTS: Final = 3_000_000


@dataclass(frozen=True)
class Choice:
    """What is published: the winner, fitted on everything, and how all candidates did.

    ``score`` : the winner's mean NDCG@20 on the held-out days; None for a small shop's default.
    """

    algorithm: str
    parameters: dict[str, Any]
    weighting: Weighting
    formula: Formula
    neighbours: Neighbours
    score: float | None
    reason: str
    holdout_days: float | None
    candidates: list[dict[str, Any]]

    def model_parameters(self) -> dict[str, Any]:
        """Return the ``parameters`` of a model version."""
        return {
            "k": NEIGHBOURS,
            **self.parameters,
            "weighting": asdict(self.weighting),
            "serving": self.formula.parameters(),
        }

    def metrics(self) -> dict[str, Any]:
        """Return the ``metrics`` of a model version."""
        return {
            "ndcg@20": None if self.score is None else round(self.score, 5),
            "holdout_days": self.holdout_days,
            "why": self.reason,
            "candidates": self.candidates,
        }


# the plain method of docs/architecture.md#similarity
DEFAULT: Final = Trial(
    "cosine",
    {"min_co_occurrence": 2},
    Weighting(None, 1.0, "sum"),
    Formula(trending_prior=0.3, trending_window="30d", repeat_weight=0.1),
)


def safe_default(
    history: History, catalog: Catalog, reason: str, *, new_only: bool = False, now: np.datetime64 | None = None
) -> Choice:
    """Return the model of a shop too small to choose on: cosine, with a good share of what is trending."""
    formula = DEFAULT.formula.with_(
        blend=0.6 if (catalog.categories >= 0).any() else 1.0, returning="unseen" if new_only else "unbought"
    )
    found = fit(history, now or history.times.max(), "cosine", DEFAULT.parameters, DEFAULT.weighting)
    return Choice("cosine", DEFAULT.parameters, DEFAULT.weighting, formula, found, None, reason, None, [])


def inner_splits(
    history: History, *, new_only: bool, holdout_days: float | None = None, leave_last: bool = False
) -> tuple[list[Split], float | None]:
    """Split for tuning: the last days, as few as have enough users, and at most a third of the history.

    Earlier cuts are added, each with the same number of days held out, as long as half of the history lies before
    them, for the second a third. ``leave_last`` : each user's last relevant event is held out instead, and in a second
    split the one before. Returns the days too, None for ``leave_last``. Raises NothingToMeasure.
    """
    if len(history) == 0:
        raise NothingToMeasure("no events")
    if leave_last:
        return _leaving_last(history, new_only=new_only), None
    span = float((history.times.max() - history.times.min()) / DAY)
    longest = max(span / 3, 1e-6)
    found: tuple[Split, float] | None = None
    problem: NothingToMeasure | None = None
    for days in (holdout_days,) if holdout_days else HOLDOUT_DAYS:
        try:
            found = last_days(history, min(days, longest), new_only=new_only), min(days, longest)
        except NothingToMeasure as error:
            problem = error
            continue
        if len(found[0].users) >= ENOUGH_USERS or days >= longest:
            break
    if found is None:
        raise problem or NothingToMeasure("no events")
    splits, days = [found[0]], found[1]
    while len(splits) < MAX_FOLDS:
        if len(splits) >= MIN_FOLDS and sum(len(one.users) for one in splits) >= USERS_IN_ALL:
            break
        left = span - days * (len(splits) + 1)
        if left < (span / 2 if len(splits) >= MIN_FOLDS else 0.33 * span):
            break
        try:
            splits.append(last_days(splits[-1].train, days, new_only=new_only))
        except NothingToMeasure:
            break
    return splits, days


def _leaving_last(history: History, *, new_only: bool) -> list[Split]:
    splits = [leave_last_out(history, new_only=new_only)]
    while len(splits) < MIN_FOLDS:
        try:
            splits.append(leave_last_out(splits[-1].train, new_only=new_only))
        except NothingToMeasure:
            break
    return splits


def sample(history: History, most_events: int, seed: int) -> History:
    """Return the events of as many users as have about ``most_events``, under the same codes."""
    if len(history) <= most_events:
        return history
    kept = np.random.default_rng(seed).random(len(history.user_ids)) < most_events / len(history)
    return only(history, kept[history.users])


def choose(
    history: History,
    catalog: Catalog,
    *,
    time_budget_s: float,
    new_only: bool = False,
    now: np.datetime64 | None = None,
    holdout_days: float | None = None,
    leave_last: bool = False,
    seed: int = 0,
    spaces: Mapping[str, Space] = SPACES,
    report: Callable[[Trial], None] = lambda _: None,
    clock: Clock = time.perf_counter,
) -> Choice:
    """Tune every candidate on the history's own last days, and fit the best on all of it.

    ``catalog`` is in the history's codes; ages count back from ``now``, by default the newest event. ``new_only``
    asks for products that a user has not met; otherwise for all they turn to, and whether bought ones return is tuned.
    ``holdout_days``, ``leave_last`` : see ``inner_splits``. The fit of the winner comes on top of ``time_budget_s``.
    Raises NothingToMeasure for a history without events.
    """
    if len(history) == 0:
        raise NothingToMeasure("no events")
    if len(history) < SMALL_SHOP_EVENTS:
        reason = f"safe default: {len(history)} events, fewer than {SMALL_SHOP_EVENTS}"
        return safe_default(history, catalog, reason, new_only=new_only, now=now)
    deadline = Deadline(time_budget_s, clock)
    try:
        splits, days = inner_splits(
            sample(history, TUNING_EVENTS, seed), new_only=new_only, holdout_days=holdout_days, leave_last=leave_last
        )
    except NothingToMeasure as error:
        return safe_default(history, catalog, f"safe default: {error}", new_only=new_only, now=now)
    held_out = sum(len(one.users) for one in splits)
    if held_out < SMALL_SHOP_USERS:
        reason = f"safe default: {held_out} held-out users, fewer than {SMALL_SHOP_USERS}"
        return safe_default(history, catalog, reason, new_only=new_only, now=now)
    compiled = numba_installed() and len(history) >= COMPILED_FROM_EVENTS and time_budget_s >= COMPILED_FROM_SECONDS
    trials = tune(Bench(splits, catalog, seed=seed, compile=compiled), spaces, deadline, report)
    return _fitted(history, trials, spaces, days, now)


def _fitted(
    history: History, trials: list[Trial], spaces: Mapping[str, Space], days: float | None, now: np.datetime64 | None
) -> Choice:
    """Fit the best on everything; where that does not fit the memory budget, the next best that does."""
    summaries = [one.summary() for one in trials]
    for best in trials:
        if best.scores is None:
            continue
        try:
            found = fit(history, now or history.times.max(), best.algorithm, best.parameters, best.weighting, spaces)
        except Unsuitable as error:
            next(one for one in summaries if one["algorithm"] == best.algorithm)["note"] = f"not published: {error}"
            continue
        reason = f"best of {sum(one.scores is not None for one in trials)} candidates on {len(best.scores)} users"
        return Choice(
            best.algorithm,
            best.parameters,
            best.weighting,
            best.formula.in_scores_of(found.mean_score),
            found,
            best.score,
            reason,
            days,
            summaries,
        )
    raise NothingToMeasure("no candidate could be fitted")
