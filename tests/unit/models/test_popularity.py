"""Popularity ranks a few candidates; all items only where very many tie."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from jobs.models import popularity
from jobs.models.popularity import popularity_neighbours

K = 3


@pytest.fixture
def dense(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The calls of the ranking of all items."""
    calls: list[int] = []
    rank_rows = popularity.rank_rows

    def record(compute: Any, matrix: Any, k: int) -> Any:
        calls.append(k)
        return rank_rows(compute, matrix, k)

    monkeypatch.setattr(popularity, "rank_rows", record)
    return calls


def of_sums(sums: list[float]) -> sparse.csr_array:
    return sparse.csr_array(np.asarray([sums]))


def test_only_the_best_are_candidates(dense: list[int]) -> None:
    neighbours = popularity_neighbours(of_sums([float(number) for number in range(1, 101)]), K)
    assert dense == []
    assert neighbours.indices[0].tolist() == [99, 98, 97]
    # the best themselves have the next
    assert neighbours.indices[99].tolist() == [98, 97, 96]
    assert neighbours.scores[99].tolist() == pytest.approx([0.99, 0.98, 0.97])


@pytest.mark.parametrize(("tied", "calls"), [(4 * K, []), (4 * K + 1, [K])])
def test_items_that_tie_are_all_candidates(dense: list[int], tied: int, calls: list[int]) -> None:
    neighbours = popularity_neighbours(of_sums([2.0] * tied + [1.0] * 40), K)
    assert dense == calls
    assert neighbours.indices[0].tolist() == [1, 2, 3]
    assert neighbours.indices[-1].tolist() == [0, 1, 2]
    assert (neighbours.scores == 1).all()


@pytest.mark.parametrize("n_items", [K + 1, K + 2])
def test_every_item_is_a_candidate_where_there_are_few(dense: list[int], n_items: int) -> None:
    neighbours = popularity_neighbours(of_sums([float(number + 1) for number in range(n_items)]), K)
    assert dense == []
    assert neighbours.indices[0].tolist() == [n_items - 1, n_items - 2, n_items - 3]
    assert neighbours.indices[-1].tolist() == [n_items - 2, n_items - 3, n_items - 4]
