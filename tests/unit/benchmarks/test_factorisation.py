"""The benchmark of ALS reads any solver's factors as the model that is served."""

import sys

import numpy as np
import pytest
from scipy import sparse

from benchmarks.factorisation import FACTORS, ITERATIONS, NEIGHBOURS, fit, main
from jobs.models.als import als_neighbours


def test_our_solver_gives_the_neighbours_of_the_registered_algorithm() -> None:
    random = np.random.default_rng(0)
    matrix = sparse.csr_array((random.random((60, 80)) < 0.2).astype(np.float64))
    measured = fit("ours", matrix, 3, regularisation=10.0, confidence=5.0)
    served = als_neighbours(
        matrix, NEIGHBOURS, factors=FACTORS, iterations=ITERATIONS, regularisation=10.0, confidence=5.0, seed=3
    )
    assert np.array_equal(measured.indices, served.indices)
    assert np.array_equal(measured.scores, served.scores)
    assert (measured.indices >= 0).sum() > 1_000


def test_without_the_library_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "implicit.als", None)
    assert main(["synthetic"]) == 2
    assert "pip install -r benchmarks/requirements.txt" in capsys.readouterr().err
