"""Each side of ALS takes three steps of conjugate gradients: with three factors that is the solution itself."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from jobs.models import als, als_kernel, pairs
from tests.unit.models import data

REGULARISATION, CONFIDENCE, SEED = 0.7, 3.0, 5


def solve(weights: Any, fixed: Any) -> Any:
    """Return the least squares solution of each row, by the formula of Hu, Koren and Volinsky in double precision."""
    rows = []
    for row in weights:
        # confidence 1 + αw for what is there, with preference 1; confidence 1 and preference 0 for the rest
        confidence = np.diag(1 + CONFIDENCE * row)
        left = fixed.T @ confidence @ fixed + REGULARISATION * np.eye(fixed.shape[1])
        rows.append(np.linalg.solve(left, fixed.T @ confidence @ (row > 0)))
    return np.array(rows)


@pytest.fixture(params=["numpy", "kernel"])
def compiled_from(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Have NumPy compute, or the kernel as Python."""
    monkeypatch.setattr(pairs, "numba_installed", lambda: True)
    monkeypatch.setattr(als, "compile_kernel", lambda: als_kernel.improve_rows)
    return 0 if request.param == "kernel" else 10**9


@pytest.mark.parametrize("factors", [1, 2, 3])
def test_both_sides_are_solved_in_turn(factors: int, compiled_from: int) -> None:
    matrix = data.random(users=30, items=20, density=0.3, seed=2)
    # a row without entries, whose solution is 0
    matrix = sparse.csr_array(sparse.vstack([matrix, sparse.csr_array((1, 20))]))
    settings = {"regularisation": REGULARISATION, "confidence": CONFIDENCE, "seed": SEED}
    dense = matrix.toarray()
    random = np.random.default_rng(SEED)
    random.normal(0, 0.1, (31, factors))
    items = random.normal(0, 0.1, (20, factors)).astype(np.float32)
    for iterations in (1, 2):
        users = solve(dense, items)
        items = solve(dense.T, users)
        solved = als.als_factors(
            matrix, factors=factors, iterations=iterations, **settings, compiled_from=compiled_from
        )
        np.testing.assert_allclose(solved[0], users, rtol=2e-3, atol=2e-4)
        np.testing.assert_allclose(solved[1], items, rtol=2e-3, atol=2e-4)
        assert np.abs(solved[0][-1]).max() < 1e-4


@pytest.mark.parametrize("work", [-1, 0, 1])
def test_the_kernel_is_compiled_from_so_many_multiplications_on(work: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[bool] = []

    def compile_kernel() -> Any:
        compiled.append(True)
        return als_kernel.improve_rows

    monkeypatch.setattr(als, "compile_kernel", compile_kernel)
    monkeypatch.setattr(pairs, "numba_installed", lambda: True)
    matrix = data.random(users=10, items=8, density=0.4, seed=1)
    settings = {"factors": 2, "regularisation": 1.0, "confidence": 1.0, "iterations": 1, "seed": 0}
    als.als_factors(matrix, **settings, compiled_from=matrix.nnz * 2 + work)
    assert compiled == [True] * (work <= 0)
    compiled.clear()
    monkeypatch.setattr(pairs, "numba_installed", lambda: False)
    als.als_factors(matrix, **settings, compiled_from=0)
    assert compiled == []


def test_pairs_alone_are_ranked_where_few_items_have_a_common_user(monkeypatch: pytest.MonkeyPatch) -> None:
    ranked: list[int] = []

    def rank_by_factors(user_items: Any, *_arguments: Any) -> Any:
        ranked.append(user_items.shape[1])
        raise LookupError

    monkeypatch.setattr(pairs, "rank_by_factors", rank_by_factors)
    monkeypatch.setattr(pairs, "numba_installed", lambda: True)
    monkeypatch.setattr(pairs, "MIN_COMPILED_WORK", 16)

    def rank(pairs_of_user: list[int], n_items: int, least: int = 1) -> bool:
        """Return whether only pairs are ranked, of users with so many items."""
        rows = np.repeat(np.arange(len(pairs_of_user)), pairs_of_user)
        items = np.concatenate([np.arange(count) for count in pairs_of_user])
        matrix = sparse.csr_array((np.ones(len(rows)), (rows, items)), shape=(len(pairs_of_user), n_items))
        ranked.clear()
        try:
            als.read_factors(matrix, np.eye(n_items, 2, dtype=np.float32), 1.0, 3, least)
        except LookupError:
            return True
        return False

    # 9 + 4 + 1 + 1 products are fewer than 16 pairs of items, 9 + 4 + 2 + 1 are not
    assert rank([3, 2, 1, 1], 4)
    assert not rank([3, 2, 1, 1, 1], 4)
    # nor are more
    assert not rank([4, 4], 4)
    # with fewer pairs than it takes to compile the kernel, or where pairs without common users count as well
    assert not rank([1], 3)
    assert not rank([3, 2, 1, 1], 4, least=0)


def test_more_factors_than_steps_are_not_solved_wholly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "numba_installed", lambda: True)
    monkeypatch.setattr(als, "compile_kernel", lambda: als_kernel.improve_rows)
    matrix = data.random(users=40, items=30, density=0.3, seed=6)
    settings = {"factors": 9, "regularisation": 0.05, "confidence": 40.0, "iterations": 1, "seed": SEED}
    by_numpy, by_kernel = (als.als_factors(matrix, **settings, compiled_from=work) for work in (10**9, 0))
    for factors, others in zip(by_numpy, by_kernel, strict=True):
        np.testing.assert_allclose(factors, others, rtol=1e-3, atol=1e-4)
    # three steps along different directions: what is left of the error shows that no fourth was taken
    random = np.random.default_rng(SEED)
    random.normal(0, 0.1, (40, 9))
    fixed = random.normal(0, 0.1, (30, 9)).astype(np.float32)
    dense = matrix.toarray()
    start = np.random.default_rng(SEED).normal(0, 0.1, (40, 9))
    for steps, is_reached in ((2, False), (3, True), (4, False)):
        expected = np.array([steps_of(row, fixed, x, steps) for row, x in zip(dense, start, strict=True)])
        assert np.allclose(by_numpy[0], expected, rtol=1e-2, atol=1e-3) is is_reached


def steps_of(row: Any, fixed: Any, x: Any, steps: int) -> Any:
    """Return x after so many steps of conjugate gradients, by the textbook and in double precision."""
    fixed = fixed.astype(np.float64)
    left = fixed.T @ np.diag(1 + 40.0 * row) @ fixed + 0.05 * np.eye(fixed.shape[1])
    residual = fixed.T @ ((1 + 40.0 * row) * (row > 0)) - left @ x
    direction = residual
    for _ in range(steps):
        size = residual @ residual / (direction @ left @ direction)
        x = x + size * direction
        rest = residual - size * left @ direction
        direction = rest + (rest @ rest) / (residual @ residual) * direction
        residual = rest
    return x
