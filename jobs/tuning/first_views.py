"""Bounds how much a visitor's list after the first views may be like the list of a stranger, of whom nothing is known.

What everybody buys is often right, so that tuning alone chooses it, by the formula or by a model that brings popularity
back. docs/decisions/0058-lists-for-short-histories.md promises more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from jobs.models.arrays import Int64Array
from jobs.offline.recommender import OfflineRecommender
from shared.domain.formula import TrendingWindow

# Lists are compared at this length.
LIST_LENGTH: Final = 10
# By the number of a visitor's events: the greatest mean share of the list that the stranger's list has as well.
SHARED_MAX: Final[Mapping[int, float]] = {1: 0.2, 2: 0.2, 3: 0.15}
# In a shop of few products lists are alike by chance: this many times the share of the products that a list holds.
CHANCE_MAX: Final = 3.0
# Histories of a length without which it bounds nothing: the mean of fewer is chance.
FIRST_VIEWS_MIN: Final = 20
# The mean of shares at the bound may differ from it by so much.
ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class FirstViews:
    """How long the histories of a group's users are.

    lengths : number of events, shape (n_rows,).
    """

    recommender: OfflineRecommender
    lengths: Int64Array

    @property
    def are_bounded(self) -> bool:
        """Return whether any of these histories has so few events that its list is bounded."""
        return bool(np.isin(self.lengths, list(SHARED_MAX)).any())

    def shared_max(self, length: int) -> float:
        """Return the greatest share of lists after this many events that may be as in the stranger's."""
        n_active = int(self.recommender.snapshot.active.sum())
        return min(1.0, max(SHARED_MAX[length], CHANCE_MAX * LIST_LENGTH / max(n_active, 1)))

    def shares(self, answers: Int64Array, window: TrendingWindow, length: int) -> list[float]:
        """Return the share of each list after this many events that is in the stranger's list, too."""
        is_of_length = self.lengths == length
        if not is_of_length.any():
            return []
        stranger = self.recommender.stranger_answer(window)[:LIST_LENGTH]
        is_shared = np.isin(answers[is_of_length, :LIST_LENGTH], stranger)
        return [float(share) for share in is_shared.sum(axis=1) / LIST_LENGTH]


def first_view_factor(groups: Sequence[FirstViews], answers: Sequence[Int64Array], window: TrendingWindow) -> float:
    """Return the factor of a formula's scores: 1 within the bounds; a half, a third, … at one, two, … products beyond.

    The length of history that is farthest beyond its bound decides. The factor falls steeply enough that no list is
    better for what it shares beyond the bound, and without a step: a model slightly beyond it is not lost before its
    formula has been tuned.

    answers : by group, shape (n_rows, k).
    """
    excess = 0.0
    for length in SHARED_MAX:
        shares = [
            (share, group.shared_max(length))
            for group, group_answers in zip(groups, answers, strict=False)
            for share in group.shares(group_answers, window, length)
        ]
        if len(shares) >= FIRST_VIEWS_MIN:
            share, shared_max = np.asarray(shares).mean(axis=0)
            excess = max(excess, float(share - shared_max))
    return 1.0 if excess <= ROUNDING else 1.0 / (1.0 + LIST_LENGTH * excess)
