"""The benchmark of searches pairs users, and says so when Optuna is missing."""

import sys

import numpy as np
import pytest

from benchmarks.optimisers import AISLE, Outcome, main, table
from benchmarks.optuna_search import SAMPLERS


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
