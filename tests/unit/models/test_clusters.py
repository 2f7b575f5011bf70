"""Clusters of users whose groups are known, because they were made."""

import numpy as np
import pytest

from jobs.models import clusters
from jobs.models.clusters import Behaviour, features, find_clusters
from tests.unit.models.shoppers import GROUPS, shoppers


def test_the_columns_of_rfm_count_alike_and_taste_as_much_as_stated() -> None:
    behaviour, _ = shoppers(50)
    points = features(behaviour)
    assert points.shape == (200, 3 + 3)
    assert points.mean(axis=0) == pytest.approx(np.zeros(6), abs=1e-12)
    assert points[:, :3].std(axis=0) == pytest.approx(np.ones(3))
    assert points[:, 3:].var(axis=0).sum() == pytest.approx(clusters.TASTE_VARIANCE)


def test_taste_is_compared_where_users_differ_most() -> None:
    # users differ much in the first two categories, and by a hundredth of it in eight others
    random = np.random.default_rng(3)
    first = random.choice([0.2, 0.7], 100)
    shares = np.column_stack((first, 0.9 - first, 0.0125 + random.uniform(-0.001, 0.001, (100, 8))))
    none = np.zeros(100)
    points = features(Behaviour(none, none, none, shares))
    assert points.shape == (100, 3 + clusters.TASTE_COMPONENTS)
    assert np.ptp(points[first == 0.2, 3]) < 0.05
    assert abs(points[first == 0.2, 3].mean() - points[first == 0.7, 3].mean()) > 2
    assert points[:, 3].var() > 0.99 * clusters.TASTE_VARIANCE


def test_rfm_by_hand() -> None:
    behaviour = Behaviour(np.array([0.0, 3.0]), np.array([0.0, 0.0]), np.array([0.0, 99.0]), np.zeros((2, 0)))
    # two values are one deviation from their mean, whatever they are; equal ones are 0
    assert features(behaviour).tolist() == [[-1.0, 0.0, -1.0], [1.0, 0.0, 1.0]]


def test_a_logarithm_tells_small_differences_apart_beside_a_large_one() -> None:
    spent = np.array([0.0, 10.0, 100.0, 1_000_000.0])
    column = features(Behaviour(np.zeros(4), np.zeros(4), spent, np.zeros((4, 0))))[:, 2]
    assert column[1] - column[0] > 0.3
    assert column[2] - column[1] > 0.3


def test_made_groups_are_found_and_numbered_by_size() -> None:
    behaviour, group = shoppers(60, sizes=(40, 100, 60, 80))
    found = find_clusters(features(behaviour))
    assert found.number == GROUPS
    assert found.silhouette is not None
    assert found.silhouette > 0.5
    assert np.bincount(found.labels).tolist() == [100, 80, 60, 40]
    # each cluster is one of the groups
    for cluster in range(GROUPS):
        assert len(set(group[found.labels == cluster])) == 1


def test_equal_input_gives_equal_bytes() -> None:
    points = features(shoppers(700)[0])
    first, second = find_clusters(points), find_clusters(points.copy())
    assert first.labels.tobytes() == second.labels.tobytes()
    assert first.silhouette == second.silhouette


def test_a_larger_shop_is_tried_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "FIT_SAMPLE", 200)
    monkeypatch.setattr(clusters, "SILHOUETTE_SAMPLE", 100)
    behaviour, group = shoppers(500)
    compared = []
    score = clusters.silhouette_score
    monkeypatch.setattr(
        clusters, "silhouette_score", lambda points, labels: (compared.append(len(points)), score(points, labels))[1]
    )
    found = find_clusters(features(behaviour))
    assert set(compared) == {100}
    assert (found.number, len(found.labels)) == (GROUPS, len(group))


def test_the_number_before_stays_unless_another_is_clearly_better(monkeypatch: pytest.MonkeyPatch) -> None:
    points = features(shoppers(60)[0])
    for gain, number in ((clusters.MIN_GAIN / 2, 5), (clusters.MIN_GAIN, 4)):
        monkeypatch.setattr(clusters, "silhouettes", lambda _points, gain=gain: {3: 0.2, 4: 0.5 + gain, 5: 0.5})
        assert find_clusters(points, previous=5).number == number
        assert find_clusters(points).number == 4
        assert find_clusters(points, previous=9).number == 4


@pytest.mark.parametrize("different", [1, 2])
def test_users_who_are_too_alike_are_one_cluster(different: int) -> None:
    days = np.arange(30.0) % different
    found = find_clusters(features(Behaviour(days, days, days, np.ones((30, 1)))))
    assert (found.number, found.silhouette, found.labels.tolist()) == (1, None, [0] * 30)


def test_three_kinds_of_users_are_three_clusters() -> None:
    days = np.arange(30.0) % 3
    found = find_clusters(features(Behaviour(days, np.zeros(30), np.zeros(30), np.zeros((30, 0)))))
    assert found.number == 3
    assert len({(day, label) for day, label in zip(days.tolist(), found.labels.tolist(), strict=True)}) == 3
