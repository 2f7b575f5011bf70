"""What a user likes, learnt from what they did: the decayed fold, in one place.

A score halves every 14 days: s(t) = Σ weight · 2^(−(t − t_event) / half_life), kept as ``(score, as_of)``. Two such
sums merge in any order, so events that arrive late or twice apart give the same state (``merge``; the SQL in
shared/storage/preferences.py is the same rule).
"""

import math
from datetime import datetime, timedelta
from typing import Final, NamedTuple

HALF_LIFE: Final = timedelta(days=14)
# beyond this many halvings a score is nothing; Postgres raises on underflow where Python rounds to zero
MAX_HALVINGS: Final = 200.0


class Decayed(NamedTuple):
    """A decayed sum: ``score`` as it was at ``as_of``."""

    score: float
    as_of: datetime


def decay(age: timedelta) -> float:
    """Return the share of a score that is left after ``age``."""
    return math.pow(2.0, -min(max(age / HALF_LIFE, 0.0), MAX_HALVINGS))


def merge(one: Decayed, other: Decayed) -> Decayed:
    """Return the sum of two decayed sums at the later of their times; commutative."""
    if one.as_of < other.as_of:
        one, other = other, one
    return Decayed(one.score + other.score * decay(one.as_of - other.as_of), one.as_of)


def price_band(weight: float, log_sum: float, square_sum: float) -> tuple[float, float] | None:
    """Return mean and deviation of log price from the decayed sums; None without any weight."""
    if weight <= 0:
        return None
    mean = log_sum / weight
    return mean, math.sqrt(max(square_sum / weight - mean * mean, 0.0))
