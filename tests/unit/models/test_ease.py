"""Properties of EASE that the contract does not cover."""

import numpy as np
import pytest
from scipy import sparse

from jobs.models.ease import ease_neighbours, ease_side
from jobs.models.ease_head import ease_head_neighbours
from jobs.models.errors import TooLarge, Unsuitable
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
