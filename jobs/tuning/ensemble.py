"""Mixes tuned models by forward selection of the model that helps most (Caruana et al., ICML 2004)."""

from collections.abc import Callable, Sequence
from typing import Final

from jobs.models.mixture import mix_models
from jobs.models.neighbours import Neighbours
from jobs.tuning.budget import Budget
from jobs.tuning.fitting import MIXTURE, NEIGHBOURS, part
from jobs.tuning.objective import Objective
from jobs.tuning.trial import FinishedTrial, Trial, charged, is_better

# The greatest number of trials, best first, that a mixture is selected from, and of rounds, each of which adds one.
TRIALS_MAX: Final = 5
ROUNDS_MAX: Final = 5


def mix_trials(
    objective: Objective,
    trials: Sequence[FinishedTrial],
    budget: Budget,
    tune_formula: Callable[[Trial, Budget], None],
) -> Trial | None:
    """Return the best mixture of the trials; None if no mixture is better than the best trial alone.

    Each round adds the trial that helps most, possibly one already in the mixture, so shares are small whole numbers,
    and then tunes the mixture's formula. ``trials`` are sorted, best first.
    """
    parts = [trial for trial in trials if trial.neighbours is not None][:TRIALS_MAX]
    if len(parts) < 2:
        return None
    best = parts[0]
    assert best.scores is not None
    assert best.neighbours is not None
    shares = dict.fromkeys((trial.algorithm for trial in parts), 0)
    shares[best.algorithm] = 1
    mixture = Trial(MIXTURE, {}, best.weighting, best.formula, best.scores, best.neighbours, fits=0)
    with charged(mixture, budget):
        for _ in range(ROUNDS_MAX):
            added = _take_in(objective, parts, shares, mixture, budget)
            if added is None:
                break
            shares[added] += 1
            mixture.fits += 1
            tune_formula(mixture, budget)
    mixture.parameters = {
        "parts": [
            part(trial.algorithm, trial.parameters, trial.weighting, shares[trial.algorithm])
            for trial in parts
            if shares[trial.algorithm]
        ]
    }
    return mixture if len(mixture.parameters["parts"]) > 1 else None


def _take_in(
    objective: Objective, parts: Sequence[FinishedTrial], shares: dict[str, int], mixture: Trial, budget: Budget
) -> str | None:
    """Add one share of the part that helps most to the mixture, and return its algorithm; None if no part helps."""
    added: str | None = None
    for trial in parts:
        if budget.left <= 0:
            break
        candidate = shares | {trial.algorithm: shares[trial.algorithm] + 1}
        budget.charge(objective.predict_mixing(sum(share > 0 for share in candidate.values())))
        neighbours = _mix_neighbours(parts, candidate)
        # a mixture that consists mostly of this trial may need the trial's formula
        for formula in dict.fromkeys((mixture.formula, trial.formula)):
            scores = objective.score(neighbours, formula, budget)
            if is_better(scores, mixture.scores):
                added = trial.algorithm
                mixture.scores, mixture.neighbours, mixture.formula = scores, neighbours, formula
    return added


def _mix_neighbours(trials: Sequence[FinishedTrial], shares: dict[str, int]) -> list[Neighbours]:
    """Return the neighbours of the mixture, one per fold."""
    parts = [
        (trial.neighbours, shares[trial.algorithm])
        for trial in trials
        if trial.neighbours is not None and shares[trial.algorithm]
    ]
    return [
        mix_models([(neighbours[fold], share) for neighbours, share in parts], NEIGHBOURS)
        for fold in range(len(parts[0][0]))
    ]
