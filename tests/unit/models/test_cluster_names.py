"""Names of clusters say what sets them apart."""

import numpy as np
import pytest

from jobs.models.cluster_names import describe_clusters
from jobs.models.clusters import Behaviour
from tests.unit.models.shoppers import CATEGORIES, GROUPS, shoppers


def test_names_of_made_groups() -> None:
    behaviour, kind = shoppers(50)
    profiles = describe_clusters(behaviour, kind, GROUPS, CATEGORIES)
    assert [profile.name for profile in profiles] == [
        "Recent high-spending frequent buyers of Candles",
        "Lapsed one-time buyers of Bags",
        "Visitors interested in Mugs",
        "Visitors interested in Bags",
    ]


def test_figures_by_hand() -> None:
    behaviour = Behaviour(
        np.array([1.0, 2.0, 9.0, 50.0]),
        np.array([2.0, 0.0, 1.0, 0.0]),
        np.array([30.0, 0.0, 5.0, 0.0]),
        np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 0.25], [0.0, 0.0]]),
    )
    first, second = describe_clusters(behaviour, np.array([0, 0, 1, 1]), 2, ["A", "B"])
    assert first[1:] == (1.5, 1.0, 15.0, 0.5, [(0, 0.75), (1, 0.25)])
    assert second[1:] == (29.5, 0.5, 2.5, 0.5, [(1, 0.125)])


@pytest.mark.parametrize(("spent", "word"), [(199.0, ""), (200.0, "high-spending ")])
def test_high_spending_is_twice_the_median_buyer(spent: float, word: str) -> None:
    days = np.full(5, 3.0)
    amounts = np.array([100.0, 100.0, 100.0, spent, spent])
    behaviour = Behaviour(np.zeros(5), days, amounts, np.zeros((5, 0)))
    name = describe_clusters(behaviour, np.array([0, 0, 0, 1, 1]), 2, [])[1].name
    assert name.lower() == (f"{word}buyers" if word else "buyers (2)")


def test_a_category_that_all_like_names_no_cluster() -> None:
    behaviour = Behaviour(np.array([1.0, 1, 90, 90]), np.zeros(4), np.zeros(4), np.full((4, 1), 0.9))
    names = [profile.name for profile in describe_clusters(behaviour, np.array([0, 0, 1, 1]), 2, ["Everything"])]
    assert names == ["Recent visitors", "Lapsed visitors"]


def test_equal_names_are_told_apart_by_what_they_like_more() -> None:
    shares = np.array([[0.2, 0.0], [0.2, 0.0], [0.0, 0.2], [0.0, 0.2]])
    behaviour = Behaviour(np.zeros(4), np.zeros(4), np.zeros(4), shares)
    names = [profile.name for profile in describe_clusters(behaviour, np.array([0, 0, 1, 1]), 2, ["Mugs", "Hats"])]
    assert names == ["Visitors interested in Mugs", "Visitors interested in Hats"]


def test_clusters_without_any_difference_are_numbered() -> None:
    behaviour = Behaviour(np.zeros(4), np.zeros(4), np.zeros(4), np.zeros((4, 0)))
    names = [profile.name for profile in describe_clusters(behaviour, np.arange(4) // 2, 2, [])]
    assert names == ["Visitors", "Visitors (2)"]
