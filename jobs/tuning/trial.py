"""A candidate while it is tuned, and the time it may take."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from jobs.data.weighting import Weighting
from jobs.models.neighbours import Neighbours
from shared.domain.formula import Formula

Scores: TypeAlias = NDArray[np.float64]
# a step must gain this share of the standard error of its gain: steps within the noise lead anywhere
LEAST_GAIN: Final = 0.3
# returns seconds from any beginning
Clock: TypeAlias = Callable[[], float]


class Deadline:
    """A time budget in seconds, by a clock that tests may replace."""

    def __init__(self, seconds: float, clock: Clock = time.perf_counter) -> None:
        self.seconds, self.clock = seconds, clock
        self._end = clock() + seconds

    @property
    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._end - self.clock())

    def part(self, share: float) -> "Deadline":
        """Return a budget of this share of the whole, as far as there is so much left."""
        return Deadline(min(self.left, self.seconds * share), self.clock)


@dataclass
class Trial:
    """A candidate as far as it has been tuned. ``scores`` : NDCG@20 of each held-out user; None when it never ran."""

    algorithm: str
    parameters: dict[str, Any]
    weighting: Weighting
    formula: Formula
    scores: Scores | None = None
    similar: list[Neighbours] | None = None
    fits: int = 0
    seconds: float = 0.0
    fit_seconds: float = 0.0
    note: str | None = None
    tried: set[tuple[Any, ...]] = field(default_factory=set)

    @property
    def score(self) -> float:
        """Mean NDCG@20, −1 when it never ran."""
        return -1.0 if self.scores is None else float(self.scores.mean())

    def summary(self) -> dict[str, Any]:
        """Return what is written in ``models`` and ``training_runs``; repeat weight in units of the mean score."""
        return {
            "algorithm": self.algorithm,
            "ndcg@20": None if self.scores is None else round(self.score, 5),
            "standard_error": None if self.scores is None else round(standard_error(self.scores), 5),
            "parameters": self.parameters,
            "weighting": asdict(self.weighting),
            "serving": self.formula.parameters(),
            "fits": self.fits,
            "seconds": round(self.seconds, 2),
            "note": self.note,
        }


def standard_error(values: Scores) -> float:
    """Return the standard error of the mean."""
    return float(values.std() / np.sqrt(len(values)))


@contextmanager
def timed(trial: Trial, clock: Clock) -> Iterator[None]:
    """Add what is done inside to the trial's seconds."""
    started = clock()
    yield
    trial.seconds += clock() - started


def better(new: Scores, old: Scores | None) -> bool:
    """Whether the gain is more than noise would often give; anything is better than nothing."""
    if old is None:
        return True
    gain = new - old
    return float(gain.mean()) > LEAST_GAIN * standard_error(gain) and float(gain.mean()) > 0
