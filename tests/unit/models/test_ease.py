"""Properties of EASE that the contract does not cover."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from jobs.models import ease, pairs
from jobs.models.ease import ease_neighbours, ease_side
from jobs.models.ease_head import ease_head_neighbours
from jobs.models.errors import TooLarge, Unsuitable
from jobs.models.neighbours import Neighbours
from tests.unit.models import data


def test_users_fewer_than_items_give_the_same_as_from_the_items_side() -> None:
    user_items = data.random(users=20, items=50, density=0.4, seed=1)
    from_users = ease_neighbours(user_items, 10)
    # thirty-one users who did next to nothing, each on their own, turn the sides without changing the model
    nearly_nothing = sparse.csr_array((np.full(31, 1e-9), (np.arange(31), np.arange(31))), shape=(31, 50))
    stacked = sparse.csr_array(sparse.vstack([user_items, nearly_nothing]))
    from_items = ease_neighbours(stacked, 10)
    np.testing.assert_allclose(from_users.scores, from_items.scores, atol=1e-5)
    assert (from_users.indices == from_items.indices).mean() > 0.95


def test_a_matrix_beyond_the_memory_budget_is_refused_with_its_size() -> None:
    assert ease_side(10, 1_000_000) == 10
    with pytest.raises(TooLarge, match="inverts 50000 x 50000"):
        ease_side(50_000, 60_000)
    with pytest.raises(TooLarge):
        ease_neighbours(data.random(users=30, items=40, density=0.5, seed=0), 5, memory_budget_bytes=100)


def test_single_precision_is_taken_where_double_does_not_fit_and_ranks_alike() -> None:
    user_items = data.random(users=60, items=40, density=0.4, seed=2)
    double, single = ease_neighbours(user_items, 5), ease_neighbours(user_items, 5, memory_budget_bytes=6 * 40 * 40)
    np.testing.assert_allclose(double.scores, single.scores, atol=1e-3)


def test_the_head_is_ease_and_the_tail_has_neighbours_too() -> None:
    # the first 20 items are met by most
    user_items = data.random(users=80, items=40, density=0.5, seed=3)
    is_kept = np.random.default_rng(0).random(user_items.nnz) < np.where(user_items.indices < 20, 1.0, 0.3)
    user_items.data[~is_kept] = 0
    user_items.eliminate_zeros()
    neighbours = ease_head_neighbours(user_items, 5, head=20)
    alone = ease_neighbours(sparse.csr_array(user_items[:, :20]), 5, regularisation=3.0)
    assert np.array_equal(neighbours.indices[:20], alone.indices)
    assert (neighbours.counts[20:] > 0).all()
    with pytest.raises(Unsuitable, match="no more than the head"):
        ease_head_neighbours(user_items, 5, head=40)


@pytest.mark.parametrize(("n_users", "n_items"), [(3, 9), (9, 3), (3, 3)])
def test_the_smaller_side_fits_up_to_the_last_byte(n_users: int, n_items: int) -> None:
    assert ease_side(n_users, n_items, memory_budget_bytes=36) == 3
    with pytest.raises(TooLarge):
        ease_side(n_users, n_items, memory_budget_bytes=35)


@pytest.mark.parametrize(
    ("users", "items", "budget", "expected"),
    [
        # fewer than half as many users as items
        (19, 40, 10**6, ("users", np.float64)),
        (20, 40, 10**6, ("items", np.float64)),
        # a matrix of items that fits in single precision, and one that does not
        (39, 40, 4 * 40 * 40, ("items", np.float32)),
        (39, 40, 4 * 40 * 40 - 1, ("users", np.float32)),
        (40, 40, 8 * 40 * 40, ("items", np.float64)),
        (40, 40, 8 * 40 * 40 - 1, ("items", np.float32)),
    ],
)
def test_the_side_and_the_precision_follow_from_the_shape_and_the_budget(
    users: int, items: int, budget: int, expected: tuple[str, type], monkeypatch: pytest.MonkeyPatch
) -> None:
    solved: list[tuple[str, type]] = []

    def solve(side: str) -> Any:
        def record(matrix: Any, k: int, *_rest: Any) -> Neighbours:
            solved.append((side, matrix.dtype.type))
            return Neighbours.none(matrix.shape[1], k)

        return record

    monkeypatch.setattr(ease, "_solve_by_users", solve("users"))
    monkeypatch.setattr(ease, "_solve_by_items", solve("items"))
    full = sparse.csr_array(np.ones((users, items)))
    ease_neighbours(full, 3, memory_budget_bytes=budget)
    assert solved == [expected]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 5, 1024, 1025])
def test_an_inverse_is_whole_and_of_the_precision_of_its_matrix(dtype: type, size: int) -> None:
    matrix = np.eye(size, dtype=dtype) * 2
    matrix[0, -1] = matrix[-1, 0] = matrix[0, -1] + 0.5 * (size > 1)
    inverse = ease._invert(matrix.copy())
    assert inverse.dtype == dtype
    assert np.array_equal(inverse, inverse.T)
    np.testing.assert_allclose(matrix @ inverse, np.eye(size), atol=1e-5)


@pytest.mark.parametrize(("least", "compiled"), [(1, True), (2, True), (0, False)])
def test_pairs_without_common_users_are_ranked_only_where_they_count(
    least: int, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranked: list[bool] = []

    def rank_by_users(matrix: Any, k: int, *_rest: Any) -> Neighbours:
        ranked.append(True)
        return Neighbours.none(matrix.shape[1], k)

    monkeypatch.setattr(pairs, "rank_by_users", rank_by_users)
    monkeypatch.setattr(pairs, "worth_compiling_dense", lambda n_items: n_items == 30)
    monkeypatch.setattr(ease, "rank_rows", lambda _compute, matrix, k, **_least: Neighbours.none(matrix.shape[1], k))
    ease_neighbours(data.random(users=10, items=30, density=0.4, seed=8), 3, min_co_occurrence=least)
    assert ranked == [True] * compiled


def test_items_without_events_change_nothing_however_many_there_are() -> None:
    # the users' side, whose diagonal is computed for 1,024 items at a time: the last item is of the second block
    few = data.random(users=20, items=60, density=0.3, seed=7)
    places = np.append(np.arange(59), 1_050)
    many = sparse.csr_array((few.data, (few.tocoo().row, places[few.indices])), shape=(20, 1_100))
    expected, neighbours = ease_neighbours(few, 5), ease_neighbours(many, 5)
    assert np.array_equal(neighbours.scores[places], expected.scores)
    padded = np.append(places, -1)
    assert np.array_equal(neighbours.indices[places], padded[expected.indices])
    assert neighbours.counts.sum() == expected.counts.sum() > 50


@pytest.mark.parametrize("users", [40, 7])
def test_weights_are_those_of_the_closed_form(users: int) -> None:
    user_items = data.random(users=users, items=15, density=0.4, seed=9)
    user_items.data = np.random.default_rng(9).choice([1.0, 3.0, 5.0], user_items.nnz)
    dense = user_items.toarray()
    active = (dense > 0).any(axis=0).sum()
    inverse = np.linalg.inv(dense.T @ dense + 0.8 * (dense**2).sum() / active * np.eye(15))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    common = (dense > 0).astype(int)
    weights[(common.T @ common < 1) | (weights < 0)] = 0
    neighbours = ease_neighbours(user_items, 14, regularisation=0.8, min_co_occurrence=1)
    scores = np.zeros((15, 16))
    np.put_along_axis(scores, neighbours.indices.astype(np.int64) % 16, neighbours.scores, axis=1)
    np.testing.assert_allclose(scores[:, :15], weights / weights.max(), atol=1e-6)
