"""Rows that are ranked in blocks are those of one block, and scores are scaled by the greatest."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from jobs.models import pairs
from jobs.models.blocks import rank_co_occurring, rank_rows, scale_scores
from jobs.models.neighbours import Neighbours
from tests.unit.models import data

USER_ITEMS = data.random(users=30, items=17, density=0.3, seed=4)
SCORES = np.random.default_rng(6).normal(size=(17, 17)).astype(np.float32)
# as many entries as are in 1, 2, 4, 8 and 16 rows, and in all
BLOCKS = [1, 34, 68, 136, 272, 10_000]


def assert_same(neighbours: Neighbours, expected: Neighbours) -> None:
    for values, others in zip(neighbours.arrays, expected.arrays, strict=True):
        assert np.array_equal(values, others)


@pytest.mark.parametrize("block_entries", BLOCKS)
@pytest.mark.parametrize("kernels", [False, True])
def test_dense_rows_rank_alike_in_blocks_of_any_size(
    block_entries: int, kernels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kernels:
        monkeypatch.setattr(pairs, "MIN_COMPILED_WORK", 0)
        monkeypatch.setattr(pairs, "numba_installed", lambda: True)
        monkeypatch.setattr(pairs, "compile_engine", lambda: pairs.INTERPRETED)
    asked: list[tuple[int, int]] = []

    def compute(first: int, last: int) -> Any:
        asked.append((first, last))
        return SCORES[first:last].copy()

    neighbours = rank_rows(compute, USER_ITEMS, 5, min_co_occurrence=2, block_entries=block_entries)
    # every row once, in order
    assert [row for first, last in asked for row in range(first, last)] == list(range(17))
    assert len(asked) == -(-17 // max(1, block_entries // 17))
    common = (USER_ITEMS.toarray() > 0).astype(int)
    counts = common.T @ common
    for row in range(17):
        candidates = [item for item in range(17) if item != row and SCORES[row, item] > 0 and counts[row, item] >= 2]
        best = sorted(candidates, key=lambda item: -SCORES[row, item])[:5]
        assert neighbours.indices[row, : len(best)].tolist() == best
        assert (neighbours.indices[row, len(best) :] == -1).all()
        assert neighbours.co_occurrence[row, : len(best)].tolist() == [counts[row, item] for item in best]


@pytest.mark.parametrize("block_entries", BLOCKS)
def test_co_occurring_items_rank_alike_in_blocks_of_any_size(block_entries: int) -> None:
    source, target = np.linspace(1, 2, 17), np.linspace(3, 1, 17)
    whole = rank_co_occurring(USER_ITEMS, 4, source=source, target=target)
    assert whole.counts.sum() > 30
    assert_same(rank_co_occurring(USER_ITEMS, 4, source=source, target=target, block_entries=block_entries), whole)


def test_nothing_in_common_is_no_neighbour() -> None:
    alone = sparse.csr_array(np.eye(3))
    for matrix in (alone, sparse.csr_array((3, 3))):
        neighbours = rank_co_occurring(matrix, 2, min_co_occurrence=1)
        assert neighbours.counts.tolist() == [0, 0, 0]
        assert scale_scores(neighbours).scores.tolist() == [[0, 0]] * 3


def test_the_greatest_score_becomes_one_and_ratios_stay() -> None:
    neighbours = Neighbours.none(2, 2)
    neighbours.scores[:] = [[0.5, 0.25], [0.125, 0]]
    assert scale_scores(neighbours).scores.tolist() == [[1, 0.5], [0.25, 0]]
