"""The state of an algorithm while it is tuned, what is kept of it afterwards, and when scores count as better."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

import numpy as np

from jobs.data.weighting import Weighting
from jobs.models.arrays import Float64Array
from jobs.models.neighbours import Neighbours
from jobs.tuning.budget import Budget
from shared.domain.formula import Formula

# A step must gain more than this many standard errors of its gain: steps within the noise would lead anywhere.
GAIN_MIN: Final = 0.3
# A tuned result must be ahead of an untuned one by more than this many standard errors of the gain: the
# one-standard-error rule (Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984).
TUNED_GAIN_MIN: Final = 1.0
# A change of one parameter: its name and its new value.
Step: TypeAlias = tuple[str, Any]
# The keys of a mean NDCG@20 and of its standard error, here and in ``Quality.as_json``.
SCORE_KEY: Final = "ndcg@20"
ERROR_KEY: Final = "standard_error"
# The key of ``FinishedTrial.summary`` that holds the factor by which NDCG@20 was multiplied to compare trials.
FACTOR_KEY: Final = "first_view_factor"
# The key of ``FinishedTrial.summary`` that holds the steps that failed, as pairs.
FAILED_STEPS_KEY: Final = "failed_steps"
# The key of ``FinishedTrial.summary`` that holds the version whose values the algorithm started from.
VERSION_KEY: Final = "started_from_version"


class TrialState(StrEnum):
    """Why the tuning of an algorithm ended, or why it never began."""

    # no further step gains
    DONE = "done"
    # the budget was used up, or has no room for another fit
    STOPPED = "stopped"
    # too far behind the best
    GIVEN_UP = "given up"
    # published as it was before tuning, whose gain was within noise
    UNTUNED = "untuned"
    # the budget has no room for a fit
    TOO_COSTLY = "too costly"
    # the algorithm does not suit a shop of this size or kind
    UNSUITABLE = "unsuitable"
    # the best, but it cannot be fitted on the whole history
    NOT_PUBLISHED = "not published"
    # the parameters of the active version, kept because the choice is worse
    KEPT = "kept"


@dataclass
class Trial:
    """An algorithm as far as it has been tuned.

    Attributes
    ----------
    formula : with the repeat weight in units of the neighbours' mean score.
    scores : NDCG@20 of each held-out user, shape (n_users,).
    neighbours : one per fold, from which the scores were computed.
    fits : number of fits so far.  cost : predicted seconds charged for them and for tuning the formula.
    state : why tuning ended; None while it goes on.
    tried : parameters and weightings that have been fitted.
    version : the model version whose values the trial started from; None if it started from the start of the space.
    failed_steps : steps from the current values that brought no gain.
    deferred_steps : steps that brought no gain when the version was chosen: other steps are taken before them.
    """

    algorithm: str
    parameters: dict[str, Any]
    weighting: Weighting
    formula: Formula
    scores: Float64Array
    neighbours: list[Neighbours]
    fits: int = 1
    cost: float = 0.0
    state: TrialState | None = None
    tried: set[tuple[Any, ...]] = field(default_factory=set)
    version: int | None = None
    failed_steps: frozenset[Step] = frozenset()
    deferred_steps: frozenset[Step] = frozenset()

    @property
    def score(self) -> float:
        """Return the mean NDCG@20."""
        return float(self.scores.mean())

    def take_over(self, rival: "Trial") -> bool:
        """Take over the rival's values and results if they are better, and return whether they are."""
        if not is_better(rival.scores, self.scores):
            return False
        if (self.parameters, self.weighting) != (rival.parameters, rival.weighting):
            # those were steps from other values
            self.failed_steps, self.deferred_steps = frozenset(), frozenset()
            self.version = rival.version
        self.parameters, self.weighting, self.formula = rival.parameters, rival.weighting, rival.formula
        self.scores, self.neighbours = rival.scores, rival.neighbours
        return True

    def finish(self, factor: float = 1.0) -> "FinishedTrial":
        """Return what is kept of the trial. Its scores include ``factor``, see ``Objective.find_factor``."""
        return FinishedTrial(
            self.algorithm,
            self.parameters,
            self.weighting,
            self.formula,
            self.state or TrialState.STOPPED,
            scores=self.scores,
            neighbours=self.neighbours,
            fits=self.fits,
            cost=self.cost,
            version=self.version,
            failed_steps=self.failed_steps,
            factor=factor,
        )


@dataclass(frozen=True)
class FinishedTrial:
    """The result of tuning an algorithm, or why it was not tried; it then has neither scores nor neighbours.

    note : details that the state does not give.
    factor : the scores are NDCG@20 times this (``Objective.find_factor``).  All else as in ``Trial``.
    """

    algorithm: str
    parameters: dict[str, Any]
    weighting: Weighting
    formula: Formula
    state: TrialState
    note: str | None = None
    scores: Float64Array | None = None
    neighbours: list[Neighbours] | None = None
    fits: int = 0
    cost: float = 0.0
    version: int | None = None
    failed_steps: frozenset[Step] = frozenset()
    factor: float = 1.0

    @property
    def score(self) -> float:
        """Return the mean score, by which trials are compared; −1 if the algorithm was not tried."""
        return -1.0 if self.scores is None else float(self.scores.mean())

    @property
    def user_quality(self) -> Float64Array | None:
        """Return NDCG@20 of each user times the user's weight, as it is recorded; None without scores."""
        return None if self.scores is None else self.scores / self.factor

    def summary(self) -> dict[str, Any]:
        """Return the JSON object that ``models`` and ``training_runs`` store. It contains no measured time.

        The repeat weight in ``serving`` is in units of the mean score here.
        """
        quality = self.user_quality
        return {
            "algorithm": self.algorithm,
            SCORE_KEY: None if quality is None else round(float(quality.mean()), 5),
            ERROR_KEY: None if quality is None else round(standard_error(quality), 5),
            FACTOR_KEY: None if quality is None else round(self.factor, 5),
            "parameters": self.parameters,
            "weighting": asdict(self.weighting),
            "serving": self.formula.parameters(),
            "fits": self.fits,
            "cost": round(self.cost, 2),
            "state": self.state.value,
            "note": self.note,
            VERSION_KEY: self.version,
            FAILED_STEPS_KEY: sorted(map(list, self.failed_steps), key=str),
        }


def standard_error(values: Float64Array) -> float:
    """Return the standard error of the mean."""
    return float(values.std() / np.sqrt(len(values)))


@contextmanager
def charged(trial: Trial, budget: Budget) -> Iterator[None]:
    """Add what the budget is charged within the ``with`` block to the trial's cost."""
    before = budget.spent
    yield
    trial.cost += budget.spent - before


def is_ahead(new: Float64Array, old: Float64Array, errors: float) -> bool:
    """Return whether ``new`` is ahead of ``old`` by over ``errors`` standard errors of the gain, paired by user."""
    gain = new - old
    return float(gain.mean()) > errors * standard_error(gain)


def is_better(new: Float64Array, old: Float64Array) -> bool:
    """Return whether the gain of ``new`` over ``old`` is larger than noise often is."""
    return is_ahead(new, old, GAIN_MIN)
