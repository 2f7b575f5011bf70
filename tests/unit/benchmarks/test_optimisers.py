"""The benchmark of searches pairs users, demands more than noise, and says so when Optuna is missing."""

import sys

import numpy as np
import pytest

from benchmarks.optimisers import AISLE, SAMPLERS, Outcome, gains, main, table


def test_a_gain_is_measured_in_its_own_standard_errors() -> None:
    old = np.random.default_rng(0).random(100)
    # of every four users one gains 0.04: the mean is 0.01, its standard error 0.0173 / 10
    new = old + np.tile([0.04, 0, 0, 0], 25)
    error = 0.04 * np.sqrt(0.25 * 0.75) / 10
    assert gains(new, old, 0.0099 / error)
    assert not gains(new, old, 0.0101 / error)
    assert not gains(old, old, 0.3)
    assert not gains(old, new, 0.0)


def test_the_lead_is_over_the_users_of_all_seeds() -> None:
    aisle = Outcome([np.array([0.5, 0.5]), np.array([0.25, 0.25])], ["ease", "cosine"])
    other = Outcome([np.array([0.4, 0.4]), np.array([0.25, 0.25])], ["als", "als"])
    lines = table("shop", {AISLE: aisle, "random": other}).splitlines()
    assert lines[2] == "| Aisle | 0.5000, 0.2500 |  | ease / cosine |"
    assert lines[3].startswith("| random | 0.4000, 0.2500 | +0.0500 (")


def test_without_optuna_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["synthetic", "--samplers", next(iter(SAMPLERS))]) == 2
    assert "pip install -r benchmarks/requirements.txt" in capsys.readouterr().err
