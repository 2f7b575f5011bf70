"""Clusters keep their ids while their members stay."""

import numpy as np
import pytest

from jobs.models.cluster_matching import MIN_OVERLAP, match_clusters


def match(labels: dict[int, int], earlier: dict[int, int]) -> list[int | None]:
    return match_clusters(
        np.array(list(labels), np.int64),
        np.array(list(labels.values()), np.int64),
        max(labels.values()) + 1,
        np.array(list(earlier), np.int64),
        np.array(list(earlier.values()), np.int64),
    )


def test_without_earlier_clusters_all_are_new() -> None:
    assert match({1: 0, 2: 1}, {}) == [None, None]


def test_other_numbers_of_the_same_clusters_change_no_id() -> None:
    earlier = {1: 70, 2: 70, 3: 71, 4: 71, 5: 72, 6: 72}
    assert match({1: 2, 2: 2, 3: 0, 4: 0, 5: 1, 6: 1}, earlier) == [71, 72, 70]


def test_a_member_who_moves_and_users_who_come_or_go_change_no_id() -> None:
    earlier = {user: 70 if user < 10 else 71 for user in range(20)}
    labels = {user: 0 if user < 9 else 1 for user in range(2, 20)} | dict.fromkeys(range(100, 200), 0)
    assert match(labels, earlier) == [70, 71]


def test_a_cluster_that_is_split_keeps_its_id_for_the_larger_part() -> None:
    earlier = dict.fromkeys(range(10), 70)
    assert match({user: 0 if user < 4 else 1 for user in range(10)}, earlier) == [None, 70]


def test_the_assignment_is_the_best_for_all_not_for_the_first() -> None:
    # cluster 0 has most in common with 70, and so has cluster 1, which has nothing in common with 71
    earlier = dict.fromkeys(range(10), 70) | dict.fromkeys(range(10, 16), 71)
    labels = dict.fromkeys(range(5), 0) | dict.fromkeys(range(10, 14), 0) | dict.fromkeys(range(5, 10), 1)
    assert match(labels, earlier) == [71, 70]


@pytest.mark.parametrize(("stayed", "expected"), [(2, 70), (1, None)])
def test_too_few_common_members_make_a_new_cluster(stayed: int, expected: int | None) -> None:
    # cluster 0 has ten users, of whom ``stayed`` are all that 70 had; the others were in 71, which is cluster 1 now
    earlier = dict.fromkeys(range(stayed), 70) | dict.fromkeys(range(stayed, 100), 71)
    labels = dict.fromkeys(range(10), 0) | dict.fromkeys(range(10, 100), 1)
    assert pytest.approx(0.2) == MIN_OVERLAP
    assert match(labels, earlier) == [expected, 71]
