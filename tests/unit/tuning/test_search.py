"""Tuning and differences within the noise."""

from dataclasses import replace

import numpy as np
import pytest

from jobs.data.weighting import Weighting
from jobs.tuning.search import prefer_untuned, single_steps
from jobs.tuning.trial import Trial, is_better
from shared.domain.formula import Formula

USERS = 400


def made_trial(algorithm: str, mean: float, seed: int, spread: float = 0.1) -> Trial:
    """Return a trial whose users' scores have exactly this mean."""
    scores = np.random.default_rng(seed).normal(0, spread, USERS)
    return Trial(algorithm, {"seed": seed}, Weighting(), Formula(), mean + scores - scores.mean())


@pytest.mark.parametrize(("gain", "first"), [(0.004, "rp3beta"), (0.04, "ease")])
def test_the_untuned_trial_stays_first_unless_tuning_gained_more_than_noise(gain: float, first: str) -> None:
    untuned = made_trial("rp3beta", 0.3, 1)
    trials = [
        made_trial("ease", 0.3 + gain, 2),
        made_trial("rp3beta", 0.301, 3),
        Trial("als", {}, Weighting(), Formula()),
    ]
    prefer_untuned(trials, [made_trial("cosine", 0.2, 5), untuned])
    assert trials[0].algorithm == first
    assert sorted(trial.algorithm for trial in trials) == ["als", "ease", "rp3beta"]
    rp3beta = next(trial for trial in trials if trial.algorithm == "rp3beta")
    assert (rp3beta.parameters == untuned.parameters) == (first == "rp3beta")
    assert ("untuned" in (rp3beta.note or "")) == (first == "rp3beta")


def test_without_an_untuned_trial_or_scores_the_order_stays() -> None:
    trials = [made_trial("ease", 0.3, 2)]
    prefer_untuned(trials, [])
    prefer_untuned(never_ran := [replace(trials[0], scores=None)], [made_trial("cosine", 0.2, 5)])
    assert trials[0].note is None
    assert never_ran[0].scores is None


def test_any_scores_are_better_than_none_and_noise_is_no_gain() -> None:
    scores = made_trial("ease", 0.3, 2).scores
    assert scores is not None
    assert is_better(scores, None)
    assert not is_better(scores, scores)
    assert is_better(scores + 0.01, scores)
    noise = np.random.default_rng(0).normal(0, 1, USERS)
    assert not is_better(scores + noise - noise.mean() + 0.005, scores)


def test_steps_go_up_to_two_values_away_and_to_every_other_word() -> None:
    values = {"size": (1, 2, 3, 4, 5), "kind": ("a", "b", "c")}
    assert list(single_steps(values, {"size": 2, "kind": "b"})) == [
        ("size", 4),
        ("size", 3),
        ("size", 1),
        ("kind", "a"),
        ("kind", "c"),
    ]
