"""The trending score: the sum of a window's event weights, decayed by age. No I/O.

score = Σ weight · e^(−λ · age_days), where the age is in whole hours (1/24 of a day) and the weights are those of
shared/domain/events.py. The SQL in shared/storage/recommending/trending.py computes the same from the hourly rollup.
"""

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from shared.domain.events import EVENT_WEIGHTS, EventType

# The windows for which trending scores are stored.
WindowName = Literal["7d", "30d"]


class Window(NamedTuple):
    """A trending window: its name, its length, and λ, the rate per day at which the weight of an event decays."""

    name: WindowName
    days: int
    decay_per_day: float


WINDOWS: Final = (Window("7d", 7, 0.3), Window("30d", 30, 0.1))


def hour_of(time: datetime) -> datetime:
    """Return the start of the hour."""
    return time.replace(minute=0, second=0, microsecond=0)


def score(window: Window, events: Iterable[tuple[EventType, datetime]], now: datetime) -> float:
    """Return the score of a product's events at ``now``. Events in the future have age 0."""
    total = 0.0
    for event_type, occurred_at in events:
        age = max(hour_of(now) - hour_of(occurred_at), timedelta(0))
        if age < timedelta(days=window.days):
            total += EVENT_WEIGHTS[event_type] * math.exp(-window.decay_per_day * (age / timedelta(days=1)))
    return total
