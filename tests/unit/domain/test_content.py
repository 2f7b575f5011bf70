"""How content is mixed with collaborative neighbours."""

import pytest

from shared.domain.content import CONTENT_SHARE_MIN, EVENTS_PRIOR, LEAST_CONTENT, mixed, specificities


def test_content_counts_less_the_more_evidence_a_product_has_down_to_a_half() -> None:
    assert mixed(0, 0.8, 0) == 0.8
    # 5 / (5 + 3) of the score
    assert mixed(0, 0.8, 3) == 0.5
    assert CONTENT_SHARE_MIN == 0.5
    assert mixed(0, 0.8, 5) == mixed(0, 0.8, 6) == mixed(0, 0.8, 100_000) == 0.4
    assert mixed(0, 0.19, 0) == 0


def test_what_is_alike_and_bought_by_the_same_people_is_ahead_of_what_is_either() -> None:
    assert mixed(0.5, 0.8, 500) == pytest.approx(0.65)
    assert mixed(0.5, 0.8, 500) > mixed(0.0, 1.0, 500) == mixed(1.0, 0.0, 500)
    # without evidence behaviour says nothing
    assert mixed(0.5, 0.8, 0) == 0.8


def test_what_everybody_buys_is_less_specific_than_what_is_bought_with_a_product() -> None:
    # 30 common users of 990 events, and 6 of 20
    assert EVENTS_PRIOR == 10
    assert specificities([30, 6], [990, 20]) == [0.03 / 0.2, 1.0]
    # one common user of a product with one event is no proof
    assert specificities([1, 6], [1, 20]) == [(1 / 11) / 0.2, 1.0]


def test_without_common_users_all_neighbours_keep_their_scores() -> None:
    assert specificities([0, 0], [5, 0]) == [1.0, 1.0]
    assert specificities([], []) == []


def test_content_counts_from_the_least_similarity_on() -> None:
    assert mixed(0, LEAST_CONTENT, 0) == LEAST_CONTENT
    assert mixed(0.5, LEAST_CONTENT - 0.01, 500) == 0.25
