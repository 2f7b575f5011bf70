"""A trial, what remains of it, and differences within the noise."""

import json

import numpy as np

from jobs.data.weighting import Weighting
from jobs.tuning.budget import Budget
from jobs.tuning.trial import FinishedTrial, Trial, TrialState, charged, is_better
from shared.domain.formula import Formula

USERS = 400
SCORES = 0.3 + np.random.default_rng(2).normal(0, 0.1, USERS)


def test_noise_is_no_gain() -> None:
    assert not is_better(SCORES, SCORES)
    assert is_better(SCORES + 0.01, SCORES)
    noise = np.random.default_rng(0).normal(0, 1, USERS)
    assert not is_better(SCORES + noise - noise.mean() + 0.005, SCORES)


def test_a_trial_moves_to_a_better_rival_only() -> None:
    trial = Trial("ease", {"at": 1}, Weighting(), Formula(), SCORES, [])
    assert not trial.take_over(Trial("ease", {"at": 2}, Weighting(), Formula(), SCORES - 0.01, []))
    assert trial.parameters == {"at": 1}
    assert trial.take_over(Trial("ease", {"at": 3}, Weighting(30.0), Formula(blend=0.1), SCORES + 0.01, []))
    assert (trial.parameters, trial.weighting, trial.formula) == ({"at": 3}, Weighting(30.0), Formula(blend=0.1))


def test_the_cost_of_a_trial_is_what_was_charged_meanwhile() -> None:
    trial, budget = Trial("ease", {}, Weighting(), Formula(), SCORES, []), Budget(10)
    budget.charge(1.0)
    with charged(trial, budget):
        budget.part(0.5).charge(2.0)
    budget.charge(4.0)
    assert trial.cost == 2.0


def test_a_summary_has_the_state_and_no_measured_time() -> None:
    tuned = Trial("ease", {}, Weighting(), Formula(), SCORES, [], state=TrialState.DONE).finish().summary()
    assert (tuned["state"], tuned["note"]) == ("done", None)
    assert not {"seconds", "fit_seconds"} & tuned.keys()
    skipped = FinishedTrial("als", {}, Weighting(), Formula(), TrialState.TOO_COSTLY, "no room").summary()
    assert (skipped["state"], skipped["note"], skipped["ndcg@20"]) == ("too costly", "no room", None)
    assert json.loads(json.dumps(skipped)) == skipped
