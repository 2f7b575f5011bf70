"""The data that a search works on: a sample of users for which the budget suffices, and enough held-out users."""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Final

import numpy as np

from jobs.data.history import History
from jobs.data.weighting import Weighting
from jobs.models.errors import Unsuitable
from jobs.offline.split import select_events
from jobs.tuning import costs
from jobs.tuning.budget import Budget
from jobs.tuning.objective import USERS_MAX, Objective
from jobs.tuning.space import Space
from jobs.tuning.starts import starting_formula
from jobs.tuning.trial import standard_error

# This many of the cheapest algorithms, by the predicted cost of a fit, run whatever the budget.
ALWAYS_FITTED: Final = 4
# Models are tuned on a sample of users with at most about this many events, and then fitted on all users.
TUNING_EVENTS: Final = 3_000_000
# A sample has at least this many events, however small the budget.
SAMPLED_EVENTS_MIN: Final = 50_000
# The first fits of the cheapest algorithms may take this share of the budget; if they would take more on all users,
# models are tuned on a sample.
FIRST_FITS_SHARE: Final = 0.15
# If the standard error of the mean exceeds this share of the mean, more users are held out, up to USERS_LIMIT and as
# long as one scoring takes at most SCORE_SHARE_MAX of the budget.
ERROR_SHARE_MAX: Final = 0.05
USERS_LIMIT: Final = 8_000
SCORE_SHARE_MAX: Final = 1 / 400
# The greatest number of cuts of the history if there are too few users.
FOLDS_LIMIT: Final = 6


def cheapest(spaces: Mapping[str, Space], predict: Callable[[Space], float]) -> list[str]:
    """Return the algorithms that always run: ALWAYS_FITTED of them, the cheapest first."""
    predicted = {name: predict(space) for name, space in spaces.items()}
    return sorted(predicted, key=lambda name: predicted[name])[:ALWAYS_FITTED]


def affordable_events(history: History, spaces: Mapping[str, Space], budget_s: float, n_folds: int) -> int:
    """Return the number of events to tune on: all, or as many as keep the first fits within FIRST_FITS_SHARE."""
    shapes = {is_sequential: costs.input_shape(history, None, is_sequential) for is_sequential in (False, True)}

    def predict(space: Space) -> float:
        shape = shapes[space.algorithm.is_sequential]
        return space.algorithm.predict_seconds(shape, space.start) + costs.predict_input(len(history))

    first_fits = n_folds * sum(predict(spaces[name]) for name in cheapest(spaces, predict))
    share = min(1.0, FIRST_FITS_SHARE * budget_s / first_fits)
    return min(TUNING_EVENTS, max(SAMPLED_EVENTS_MIN, round(share * len(history))))


def sample_users(history: History, events_max: int, seed: int) -> History:
    """Return the events of a random sample of users with about ``events_max`` events in all, in the same codes."""
    if len(history) <= events_max:
        return history
    is_sampled = np.random.default_rng(seed).random(len(history.user_ids)) < events_max / len(history)
    return select_events(history, is_sampled[history.users])


def enough_users(objective: Objective, spaces: Mapping[str, Space], budget: Budget) -> int:
    """Return the number of held-out users that a comparison of models needs, at least USERS_MAX.

    The variation of the mean is estimated with the first algorithm, untuned, whose fit is charged to the budget.
    """
    formula, space = starting_formula(objective), next(iter(spaces.values()))
    try:
        neighbours = objective.fit(space, space.start, Weighting(), budget)
    except Unsuitable:
        return USERS_MAX
    scores = objective.score(neighbours, formula, budget)
    mean = float(scores.mean())
    if mean <= 0:
        return USERS_LIMIT
    wanted = ceil(len(scores) * (standard_error(scores) / mean / ERROR_SHARE_MAX) ** 2)
    affordable = int(len(scores) * SCORE_SHARE_MAX * budget.seconds / objective.predict_score(formula))
    return max(USERS_MAX, min(wanted, affordable, USERS_LIMIT))
