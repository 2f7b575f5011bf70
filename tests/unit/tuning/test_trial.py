"""A trial, what remains of it, and differences within the noise."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jobs.data.weighting import Weighting
from jobs.models.neighbours import Neighbours
from jobs.tuning.budget import Budget
from jobs.tuning.trial import FinishedTrial, Trial, TrialState, charged, is_ahead, is_better, standard_error
from shared.domain.formula import Formula

USERS = 400
SCORES = 0.3 + np.random.default_rng(2).normal(0, 0.1, USERS)


def test_noise_is_no_gain() -> None:
    assert not is_better(SCORES, SCORES)
    assert is_better(SCORES + 0.01, SCORES)
    noise = np.random.default_rng(0).normal(0, 1, USERS)
    assert not is_better(SCORES + noise - noise.mean() + 0.005, SCORES)


def test_a_gain_is_measured_in_its_own_standard_errors() -> None:
    old = np.random.default_rng(0).random(100)
    # of every four users one gains 0.04: the mean is 0.01, its standard error 0.0173 / 10
    new = old + np.tile([0.04, 0, 0, 0], 25)
    error = 0.04 * np.sqrt(0.25 * 0.75) / 10
    assert is_ahead(new, old, 0.0099 / error)
    assert not is_ahead(new, old, 0.0101 / error)
    assert not is_ahead(old, old, 0.3)
    assert not is_ahead(old, new, 0.0)


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


def test_a_trial_that_moves_has_the_neighbours_that_its_scores_belong_to() -> None:
    old, new = Neighbours.none(3, 2), Neighbours.none(4, 2)
    trial = Trial("ease", {}, Weighting(), Formula(), SCORES, [old])
    trial.take_over(Trial("ease", {}, Weighting(), Formula(), SCORES - 0.01, [new]))
    assert trial.neighbours == [old]
    trial.take_over(Trial("ease", {}, Weighting(), Formula(), SCORES + 0.01, [new]))
    assert trial.neighbours == [new]
    assert trial.finish().neighbours == [new]


@pytest.mark.parametrize(
    ("parameters", "weighting", "has_moved"),
    [({"at": 1}, Weighting(), False), ({"at": 2}, Weighting(), True), ({"at": 1}, Weighting(30.0), True)],
)
def test_a_trial_forgets_the_steps_that_failed_where_it_is_no_more(
    parameters: dict[str, Any], weighting: Weighting, has_moved: bool
) -> None:
    step = frozenset({("at", 3)})
    trial = Trial(
        "ease", {"at": 1}, Weighting(), Formula(), SCORES, [], version=7, failed_steps=step, deferred_steps=step
    )
    assert trial.take_over(Trial("ease", parameters, weighting, Formula(blend=0.1), SCORES + 0.01, []))
    assert (trial.failed_steps, trial.deferred_steps) == ((frozenset(), frozenset()) if has_moved else (step, step))
    assert trial.version == (None if has_moved else 7)


def test_a_summary_has_the_quality_without_the_factor_that_is_in_the_scores() -> None:
    trial = Trial("ease", {}, Weighting(), Formula(), SCORES * 0.25, [])
    reduced, whole = trial.finish(0.25), replace(trial, scores=SCORES).finish()
    assert reduced.score == pytest.approx(whole.score / 4)
    assert reduced.summary() == whole.summary() | {"first_view_factor": 0.25}
    assert whole.summary()["first_view_factor"] == 1.0
    assert whole.summary()["ndcg@20"] == round(SCORES.mean(), 5)


def test_a_trial_that_ends_while_steps_are_left_was_stopped() -> None:
    trial = Trial("ease", {}, Weighting(), Formula(), SCORES, [], fits=5, cost=1.234, version=7)
    assert trial.finish().state is TrialState.STOPPED
    trial.state = TrialState.GIVEN_UP
    summary = trial.finish().summary()
    assert (summary["state"], summary["fits"], summary["cost"]) == ("given up", 5, 1.23)
    assert summary["started_from_version"] == 7


def test_the_error_of_a_mean_shrinks_with_the_root_of_the_number() -> None:
    assert standard_error(np.array([0.0, 1.0, 0.0, 1.0])) == 0.25
    assert standard_error(np.tile([0.0, 1.0], 50)) == 0.05


def test_a_gain_is_compared_user_by_user() -> None:
    # as large as the difference of two groups of users, in which it is lost
    spread = np.linspace(0.0, 1.0, USERS)
    assert is_better(spread + 0.001, spread)
    assert not is_better(np.roll(spread, USERS // 2) + 0.001, spread)


def test_failed_steps_are_stored_in_one_order() -> None:
    steps = [("window", 2), ("repeated", "sum"), ("half_life_days", None), ("half_life_days", 30.0)]
    stored = Trial("ease", {}, Weighting(), Formula(), SCORES, [], failed_steps=frozenset(steps)).finish().summary()
    assert stored["failed_steps"] == [
        ["half_life_days", 30.0],
        ["half_life_days", None],
        ["repeated", "sum"],
        ["window", 2],
    ]
