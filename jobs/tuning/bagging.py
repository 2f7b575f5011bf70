"""Averages the mixtures that forward selection finds on many samples of the users (Caruana et al., ICML 2004).

A single forward selection chooses among many mixtures on the same users, and so overfits to them. The mean of its
shares over bootstrap samples of the users varies less (section 2.3 of the paper).
"""

from collections.abc import Sequence
from functools import reduce
from math import gcd
from typing import Final

import numpy as np

from jobs.models.arrays import Float64Array, Int64Array
from jobs.models.mixture import mix_models
from jobs.models.neighbours import Neighbours
from jobs.tuning.budget import Budget
from jobs.tuning.ensemble import ROUNDS_MAX, TRIALS_MAX
from jobs.tuning.fitting import MIXTURE, NEIGHBOURS, part
from jobs.tuning.objective import Objective
from jobs.tuning.trial import Trial, charged
from shared.domain.formula import Formula

# Trials take part if they have at least this share of the best score.
SCORE_SHARE_MIN: Final = 0.9
# number of bootstrap samples of the users
SAMPLES: Final = 10
# Shares are rounded to this many decimals, so that the description of a model has no meaningless digits.
SHARE_DIGITS: Final = 4

# the integer share of each trial, in order
Shares = tuple[int, ...]


def bag_trials(objective: Objective, trials: Sequence[Trial], formula: Formula, budget: Budget) -> Trial | None:
    """Return the trials mixed by their mean shares over samples of the users; None if fewer than two have a share.

    Two trials of one algorithm count as two models. All mixtures are scored with ``formula``, each only once, and
    charged to the budget. Samples that the budget does not reach are left out.
    """
    leading = sorted(trials, key=lambda trial: -trial.score)[:TRIALS_MAX]
    leading = [trial for trial in leading if trial.score >= SCORE_SHARE_MIN * leading[0].score]
    if len(leading) < 2:
        return None
    mixture = Trial(MIXTURE, {}, leading[0].weighting, formula, leading[0].scores, leading[0].neighbours, fits=0)
    with charged(mixture, budget):
        shares = _mean_shares(_Mixtures(objective, leading, formula, budget))
        chosen = [(trial, share) for trial, share in zip(leading, shares, strict=True) if share > 0]
        if len(chosen) < 2:
            return None
        budget.charge(objective.predict_mixing(len(chosen)))
        mixture.neighbours = _mix(chosen)
        mixture.scores = objective.score(mixture.neighbours, formula, budget)
    mixture.parameters = {
        "parts": [part(trial.algorithm, trial.parameters, trial.weighting, share) for trial, share in chosen]
    }
    return mixture


class _Mixtures:
    """The scores of mixtures by the shares of their trials, each computed only once and while the budget lasts."""

    def __init__(self, objective: Objective, trials: Sequence[Trial], formula: Formula, budget: Budget) -> None:
        self.objective, self.trials, self.formula, self.budget = objective, trials, formula, budget
        self._scores: dict[Shares, Float64Array] = {}

    def score(self, shares: Shares) -> Float64Array | None:
        """Return the score of each user; None if the budget is used up."""
        divisor = reduce(gcd, shares)
        key = tuple(share // divisor for share in shares)
        if key not in self._scores:
            if self.budget.left <= 0:
                return None
            chosen = [(trial, float(share)) for trial, share in zip(self.trials, key, strict=True) if share]
            if len(chosen) > 1:
                self.budget.charge(self.objective.predict_mixing(len(chosen)))
            self._scores[key] = self.objective.score(_mix(chosen), self.formula, self.budget)
        return self._scores[key]


def _mean_shares(mixtures: _Mixtures) -> list[float]:
    """Return the mean share of each trial over the samples; all 0 if the budget reached none."""
    n_users, n_trials = len(mixtures.trials[0].scores), len(mixtures.trials)
    random = np.random.default_rng(0)
    sample_shares: list[Float64Array] = []
    for _ in range(SAMPLES):
        shares = _select(mixtures, random.integers(0, n_users, n_users))
        if shares is None:
            break
        sample_shares.append(np.asarray(shares, np.float64) / sum(shares))
    if not sample_shares:
        return [0.0] * n_trials
    return [round(float(share), SHARE_DIGITS) for share in np.mean(sample_shares, axis=0)]


def _select(mixtures: _Mixtures, sample: Int64Array) -> Shares | None:
    """Return the shares that forward selection finds on a sample of the users; None if the budget was used up."""
    n_trials = len(mixtures.trials)
    shares: Shares = (0,) * n_trials
    best = -1.0
    # the first round adds the best trial
    for _ in range(ROUNDS_MAX):
        added: Shares | None = None
        for place in range(n_trials):
            candidate = tuple(share + (other == place) for other, share in enumerate(shares))
            scores = mixtures.score(candidate)
            if scores is None:
                return None
            if (score := float(scores[sample].mean())) > best:
                added, best = candidate, score
        if added is None:
            break
        shares = added
    return shares


def _mix(chosen: Sequence[tuple[Trial, float]]) -> list[Neighbours]:
    """Return the neighbours of the mixture, one per fold."""
    if len(chosen) == 1:
        return chosen[0][0].neighbours
    return [
        mix_models([(trial.neighbours[fold], share) for trial, share in chosen], NEIGHBOURS)
        for fold in range(len(chosen[0][0].neighbours))
    ]
