"""Parameters of plain cosine."""

import numpy as np
import pytest
from scipy import sparse

from jobs.models.cosine import clip_scores, cosine_neighbours
from jobs.models.neighbours import Neighbours
from tests.unit.models import data


@pytest.mark.parametrize("block_entries", [1, 25, 60, 10_000])
def test_the_size_of_the_blocks_changes_nothing(block_entries: int) -> None:
    user_items = data.random(users=40, items=25, density=0.4, seed=3)
    neighbours = cosine_neighbours(user_items, 6, block_entries=block_entries)
    expected = cosine_neighbours(user_items, 6)
    assert np.array_equal(neighbours.indices, expected.indices)
    assert np.array_equal(neighbours.scores, expected.scores)
    assert np.array_equal(neighbours.co_occurrence, expected.co_occurrence)


def test_a_pair_counts_from_the_least_number_of_common_users_on() -> None:
    # items 0 and 1 have one user in common, items 0 and 2 have two, items 1 and 2 one
    user_items = sparse.csr_array(np.array([[1.0, 1, 1], [1, 0, 1]]))
    assert cosine_neighbours(user_items, 2).indices.tolist() == [[2, -1], [-1, -1], [0, -1]]
    assert cosine_neighbours(user_items, 2, min_co_occurrence=1).counts.tolist() == [2, 2, 2]


def test_a_heavier_interaction_counts_more() -> None:
    user_items = sparse.csr_array(np.array([[5.0, 5, 1], [1, 1, 5]]))
    neighbours = cosine_neighbours(user_items, 2)
    assert neighbours.indices[0].tolist() == [1, 2]
    assert neighbours.scores[0].tolist() == pytest.approx([1.0, 10 / 26])


def test_what_rounding_adds_to_a_cosine_is_cut_off() -> None:
    neighbours = Neighbours.none(1, 4)
    neighbours.scores[0] = 1.5, 1.0, 0.25, -0.5
    assert clip_scores(neighbours).scores[0].tolist() == [1.0, 1.0, 0.25, 0.0]
