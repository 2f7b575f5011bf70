"""The state of an algorithm while it is tuned, and the time that tuning may take."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from jobs.data.weighting import Weighting
from jobs.models.arrays import Float64Array
from jobs.models.neighbours import Neighbours
from shared.domain.formula import Formula

# A step must gain at least this share of the standard error of its gain: steps within the noise lead anywhere.
GAIN_MIN: Final = 0.3
# Returns seconds since any fixed moment.
Clock: TypeAlias = Callable[[], float]
# On a busy machine a budget ends after this many times its seconds at the latest.
LONGEST: Final = 2.0


def own_time_clock() -> Clock:
    """Return a clock of the seconds in which this process could work, from now on.

    On an idle machine that is the elapsed time. Beside other work it is the process's processor time, so that the
    choice of a model does not depend on what else runs; but at least the elapsed time / LONGEST, so that a process
    that gets no processor ends.
    """
    begun, used = time.perf_counter(), time.process_time()

    def seconds() -> float:
        elapsed = time.perf_counter() - begun
        return max(min(elapsed, time.process_time() - used), elapsed / LONGEST)

    return seconds


class Deadline:
    """A time budget in seconds, on a clock that tests may replace."""

    def __init__(self, seconds: float, clock: Clock = time.perf_counter) -> None:
        self.seconds, self.clock = seconds, clock
        self._end = clock() + seconds

    @property
    def left(self) -> float:
        """Return the seconds left, at least 0."""
        return max(0.0, self._end - self.clock())

    def part(self, share: float) -> "Deadline":
        """Return a budget of this share of the total, or of the time left if that is less."""
        return Deadline(min(self.left, self.seconds * share), self.clock)


@dataclass
class Trial:
    """An algorithm as far as it has been tuned.

    Attributes
    ----------
    formula : with the repeat weight in units of the neighbours' mean score.
    scores : NDCG@20 of each held-out user, shape (n_users,); None if no fit succeeded.
    neighbours : the fit of each fold that the scores belong to.
    fits : number of fits so far; seconds : time spent on them and on the formula; fit_seconds : time of the last fit.
    note : why the trial ended, or why it never ran.
    tried : parameters and weightings that have been fitted.
    """

    algorithm: str
    parameters: dict[str, Any]
    weighting: Weighting
    formula: Formula
    scores: Float64Array | None = None
    neighbours: list[Neighbours] | None = None
    fits: int = 0
    seconds: float = 0.0
    fit_seconds: float = 0.0
    note: str | None = None
    tried: set[tuple[Any, ...]] = field(default_factory=set)

    @property
    def score(self) -> float:
        """Return the mean NDCG@20, −1 if no fit succeeded."""
        return -1.0 if self.scores is None else float(self.scores.mean())

    def summary(self) -> dict[str, Any]:
        """Return the JSON object that ``models`` and ``training_runs`` store.

        The repeat weight of ``serving`` is in units of the mean score here.
        """
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


def standard_error(values: Float64Array) -> float:
    """Return the standard error of the mean."""
    return float(values.std() / np.sqrt(len(values)))


@contextmanager
def timed(trial: Trial, clock: Clock) -> Iterator[None]:
    """Add the time spent in the block to the trial's seconds."""
    started = clock()
    yield
    trial.seconds += clock() - started


def is_better(new: Float64Array, old: Float64Array | None) -> bool:
    """Return whether the gain is larger than noise would often give; any scores are better than None."""
    if old is None:
        return True
    gain = new - old
    return float(gain.mean()) > GAIN_MIN * standard_error(gain) and float(gain.mean()) > 0
