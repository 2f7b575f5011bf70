"""A mixture scores as its parts do, in their shares."""

import numpy as np
import pytest

from jobs.models import mixture
from jobs.models.cosine import cosine_neighbours
from jobs.models.mixture import mix_models
from jobs.models.neighbours import Neighbours
from jobs.models.rp3beta import rp3beta_neighbours
from tests.unit.models import data


def dense(neighbours: Neighbours) -> np.ndarray:
    """Return the scores as a square, divided by their mean."""
    n_items = len(neighbours.indices)
    square = np.zeros((n_items, n_items))
    rows, places = np.nonzero(neighbours.indices >= 0)
    square[rows, neighbours.indices[rows, places]] = neighbours.scores[rows, places]
    return square / square[square > 0].mean()


@pytest.mark.parametrize("shares", [(1, 1), (1, 3), (0.25, 0.75)])
def test_scores_are_the_parts_in_their_shares(shares: tuple[float, float]) -> None:
    user_items = data.random(users=50, items=30, density=0.3, seed=4)
    cosine, walk = cosine_neighbours(user_items, 6), rp3beta_neighbours(user_items, 6)
    expected = shares[0] * dense(cosine) + shares[1] * dense(walk)
    mixture = mix_models([(cosine, shares[0]), (walk, shares[1])], 30)
    assert mixture.counts.tolist() == (expected > 0).sum(axis=1).tolist()
    for item in range(30):
        items = mixture.indices[item, : mixture.counts[item]]
        np.testing.assert_allclose(
            mixture.scores[item, : len(items)], expected[item, items] / expected.max(), rtol=1e-5
        )
        assert (np.diff(mixture.scores[item]) <= 0).all()


def test_a_mixture_keeps_the_best_neighbours_and_their_co_occurrence() -> None:
    user_items = data.random(users=50, items=30, density=0.3, seed=4)
    parts = [(cosine_neighbours(user_items, 6), 1), (rp3beta_neighbours(user_items, 6), 1)]
    long, short = mix_models(parts, 30), mix_models(parts, 4)
    assert np.array_equal(long.indices[:, :4], short.indices)
    assert np.array_equal(long.co_occurrence[:, :4], short.co_occurrence)
    co_occurrence = data.co_occurrence(user_items)
    rows, places = np.nonzero(long.indices >= 0)
    assert np.array_equal(long.co_occurrence[rows, places], co_occurrence[rows, long.indices[rows, places]])


def test_a_model_alone_or_with_an_empty_one_keeps_its_ranking() -> None:
    cosine = cosine_neighbours(data.random(users=50, items=30, density=0.3, seed=4), 6)
    for parts in ([(cosine, 2.0)], [(cosine, 1.0), (Neighbours.none(30, 6), 1.0)]):
        mixed = mix_models(parts, 6)
        assert np.array_equal(mixed.indices, cosine.indices)
        np.testing.assert_allclose(mixed.scores, cosine.scores / cosine.scores.max(), rtol=1e-6)
    empty = mix_models([(Neighbours.none(3, 2), 1.0)], 2)
    assert not empty.counts.any()


def test_items_are_mixed_in_batches_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    user_items = data.random(users=50, items=30, density=0.3, seed=4)
    parts = [(cosine_neighbours(user_items, 6), 0.3), (rp3beta_neighbours(user_items, 6), 0.7)]
    whole = mix_models(parts, 4)
    for size in (1, 7, 29, 30, 31):
        monkeypatch.setattr(mixture, "MIXED_BATCH", size)
        for expected, mixed in zip(whole.arrays, mix_models(parts, 4).arrays, strict=True):
            assert np.array_equal(expected, mixed)
