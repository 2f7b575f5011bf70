"""Bounds how similar a visitor's list after the first views may be to that of a stranger, a user without any history.

What everybody buys is often relevant, so that tuning alone would choose lists of it, either by the formula or by a
model that reintroduces popularity. docs/decisions/0058-lists-for-short-histories.md promises visitors more than that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from jobs.models.arrays import Int64Array
from jobs.offline.recommender import OfflineRecommender
from shared.domain.formula import TrendingWindow

# The length at which lists are compared.
LIST_LENGTH: Final = 10
# By the number of a visitor's events: the greatest mean share of the list that may be in the stranger's list as well.
SHARED_MAX: Final[Mapping[int, float]] = {1: 0.2, 2: 0.2, 3: 0.15}
# In a shop with few products lists overlap by chance, so this many times the expected overlap (the list's length
# divided by the number of products) is always allowed.
CHANCE_MAX: Final = 3.0
# A length of history is bounded only if at least this many histories have it: the mean of fewer is mostly noise.
FIRST_VIEWS_MIN: Final = 20
# Tolerance for the rounding of a mean share that is exactly at the bound.
ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class FirstViews:
    """The lengths of the histories of a group's users.

    recommender : that of the group.  lengths : number of events of each user, shape (n_rows,).
    """

    recommender: OfflineRecommender
    lengths: Int64Array

    @property
    def are_bounded(self) -> bool:
        """Return whether any of these histories is so short that its list is bounded."""
        return bool(np.isin(self.lengths, list(SHARED_MAX)).any())

    def shared_max(self, length: int) -> float:
        """Return the greatest share of a list after this many events that may be in the stranger's list as well."""
        n_active = int(self.recommender.snapshot.active.sum())
        return min(1.0, max(SHARED_MAX[length], CHANCE_MAX * LIST_LENGTH / max(n_active, 1)))

    def shares(self, answers: Int64Array, window: TrendingWindow, length: int) -> list[float]:
        """Return the share of each list after this many events that is in the stranger's list as well."""
        is_of_length = self.lengths == length
        if not is_of_length.any():
            return []
        stranger = self.recommender.stranger_answer(window)[:LIST_LENGTH]
        is_shared = np.isin(answers[is_of_length, :LIST_LENGTH], stranger)
        return [float(share) for share in is_shared.sum(axis=1) / LIST_LENGTH]


def first_view_factor(groups: Sequence[FirstViews], answers: Sequence[Int64Array], window: TrendingWindow) -> float:
    """Return the factor for a formula's scores: 1 within the bounds; 1/2, 1/3, … at one, two, … products beyond.

    The length of history that exceeds its bound most decides. The factor falls steeply enough that sharing more than
    the bound allows never pays, yet continuously, so that a model slightly beyond the bound is not lost before its
    formula has been tuned.

    answers : one array per group, shape (n_rows, k).
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
