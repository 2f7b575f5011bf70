"""What tuning makes of noise."""

from dataclasses import replace

import numpy as np
import pytest

from jobs.data.weighting import Weighting
from jobs.tuning.search import keep_plain
from jobs.tuning.trial import Trial, better
from shared.domain.formula import Formula

USERS = 400


def trial(algorithm: str, mean: float, seed: int, spread: float = 0.1) -> Trial:
    """Return a candidate whose users' scores have exactly this mean."""
    scores = np.random.default_rng(seed).normal(0, spread, USERS)
    return Trial(algorithm, {"seed": seed}, Weighting(), Formula(), mean + scores - scores.mean())


@pytest.mark.parametrize(("gain", "first"), [(0.004, "rp3beta"), (0.04, "ease")])
def test_what_was_not_tuned_stays_unless_tuning_gained_more_than_noise(gain: float, first: str) -> None:
    plain = trial("rp3beta", 0.3, 1)
    trials = [trial("ease", 0.3 + gain, 2), trial("rp3beta", 0.301, 3), Trial("als", {}, Weighting(), Formula())]
    keep_plain(trials, [trial("cosine", 0.2, 5), plain])
    assert trials[0].algorithm == first
    assert sorted(one.algorithm for one in trials) == ["als", "ease", "rp3beta"]
    kept = next(one for one in trials if one.algorithm == "rp3beta")
    assert (kept.parameters == plain.parameters) == (first == "rp3beta")
    assert ("as it began" in (kept.note or "")) == (first == "rp3beta")


def test_without_anything_to_compare_with_the_best_stays_first() -> None:
    trials = [trial("ease", 0.3, 2)]
    keep_plain(trials, [])
    keep_plain(never := [replace(trials[0], scores=None)], [trial("cosine", 0.2, 5)])
    assert trials[0].note is None
    assert never[0].scores is None


def test_anything_is_better_than_nothing_and_noise_is_not() -> None:
    one = trial("ease", 0.3, 2).scores
    assert one is not None
    assert better(one, None)
    assert not better(one, one)
    assert better(one + 0.01, one)
    wild = np.random.default_rng(0).normal(0, 1, USERS)
    assert not better(one + wild - wild.mean() + 0.005, one)
