"""Bounds how much a visitor's list after one view may be like the list of a stranger, of whom nothing is known.

What everybody buys is often right, so that tuning alone chooses it, by the formula or by a model that brings popularity
back. docs/decisions/0030-what-a-visitor-sees.md promises more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from jobs.models.arrays import BoolArray, Int64Array
from jobs.offline.recommender import OfflineRecommender
from shared.domain.formula import TrendingWindow

# Lists are compared at this length.
LIST_LENGTH: Final = 10
# The greatest mean share of a visitor's list after one view that the stranger's list has as well.
SHARED_MAX: Final = 0.2
# In a shop of few products lists are alike by chance: this many times the share of the products that a list holds.
CHANCE_MAX: Final = 3.0
# One-view histories without which nothing is bounded: the mean of fewer is chance.
FIRST_VIEWS_MIN: Final = 20
# Scores beyond the bound keep less than this share, so that another model within the bound is better unless it is worth
# less than that; the less, the farther beyond it, so that single steps lead back.
BEYOND_FACTOR: Final = 0.5
# The mean of shares at the bound may differ from it by so much.
ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class FirstViews:
    """Which users of a group have a history of one event.

    is_first : shape (n_rows,).
    """

    recommender: OfflineRecommender
    is_first: BoolArray

    @property
    def shared_max(self) -> float:
        """Return the greatest share of their lists that may be as in the stranger's."""
        n_active = int(self.recommender.snapshot.active.sum())
        return min(1.0, max(SHARED_MAX, CHANCE_MAX * LIST_LENGTH / max(n_active, 1)))

    def shares(self, answers: Int64Array, window: TrendingWindow) -> list[float]:
        """Return the share of each such user's list that is in the stranger's list, too."""
        if not self.is_first.any():
            return []
        stranger = self.recommender.stranger_answer(window)[:LIST_LENGTH]
        is_shared = np.isin(answers[self.is_first, :LIST_LENGTH], stranger)
        return [float(share) for share in is_shared.sum(axis=1) / LIST_LENGTH]


def first_view_factor(groups: Sequence[FirstViews], answers: Sequence[Int64Array], window: TrendingWindow) -> float:
    """Return the factor of a formula's scores: 1 within the bound, and at most BEYOND_FACTOR beyond it.

    answers : by group, shape (n_rows, k).
    """
    shares = [
        (share, group.shared_max)
        for group, group_answers in zip(groups, answers, strict=False)
        for share in group.shares(group_answers, window)
    ]
    if len(shares) < FIRST_VIEWS_MIN:
        return 1.0
    share, shared_max = np.asarray(shares).mean(axis=0)
    if share <= shared_max + ROUNDING:
        return 1.0
    return float(BEYOND_FACTOR / (1.0 + LIST_LENGTH * (share - shared_max)))
