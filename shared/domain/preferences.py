"""A user's preferences as exponentially decayed sums of event weights.

A score halves every 14 days: s(t) = Σ weight · 2^(−(t − t_event) / half_life), stored as ``(score, as_of)``. Sums merge
in any order, so late events give the same state as events in time (``merge``). The statements in
shared/storage/events/ingestion.py apply the same rule in SQL.
"""

import math
from datetime import datetime, timedelta
from typing import Final, NamedTuple

HALF_LIFE: Final = timedelta(days=14)
# A score halved more often counts as zero. Postgres raises an error on underflow, where Python rounds to zero.
MAX_HALVINGS: Final = 200.0


class Decayed(NamedTuple):
    """A decayed sum: its ``score`` as of the time ``as_of``."""

    score: float
    as_of: datetime


def decay(age: timedelta) -> float:
    """Return the share of a score that remains after ``age``, in (0, 1]; a negative age counts as 0."""
    return math.pow(2.0, -min(max(age / HALF_LIFE, 0.0), MAX_HALVINGS))


def merge(first: Decayed, second: Decayed) -> Decayed:
    """Return the sum of two decayed sums as of the later of their times. The order of the arguments does not matter."""
    later, earlier = (first, second) if first.as_of >= second.as_of else (second, first)
    return Decayed(later.score + earlier.score * decay(later.as_of - earlier.as_of), later.as_of)


def price_band(weight: float, log_sum: float, square_sum: float) -> tuple[float, float] | None:
    """Return mean and standard deviation of log price from its decayed sums; None if the weight is 0."""
    if weight <= 0:
        return None
    mean = log_sum / weight
    return mean, math.sqrt(max(square_sum / weight - mean * mean, 0.0))
