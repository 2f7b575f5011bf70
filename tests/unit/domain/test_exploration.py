"""Positions of new products."""

import pytest

from shared.domain.exploration import count_reserved, insert_new

IDS = list(range(1, 11))


def test_without_a_share_nothing_changes() -> None:
    assert insert_new(IDS, [90, 91], 0.0, 10) == IDS
    assert insert_new(IDS, [], 0.5, 10) == IDS


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.05, IDS),
        (0.1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 90]),
        (0.2, [1, 2, 3, 4, 90, 5, 6, 7, 8, 91]),
        (0.3, [1, 2, 3, 90, 4, 5, 91, 6, 7, 92]),
        (0.5, [1, 90, 2, 91, 3, 92, 4, 93, 5, 94]),
    ],
)
def test_each_share_has_its_positions_which_never_include_the_first(share: float, expected: list[int]) -> None:
    assert insert_new(IDS, [90, 91, 92, 93, 94, 95], share, 10) == expected


def test_listed_products_keep_their_position_and_the_rest_moves_up_if_new_ones_run_out() -> None:
    assert insert_new(IDS, [2, 90], 0.2, 10) == [1, 2, 3, 4, 90, 5, 6, 7, 8, 9]
    assert insert_new([1, 2], [90], 0.5, 4) == [1, 90, 2]
    assert insert_new([], [90, 91], 0.5, 4) == [90, 91]


@pytest.mark.parametrize(
    ("share", "k", "reserved"), [(0.0, 10, 0), (0.05, 10, 0), (0.1, 10, 1), (0.3, 10, 3), (0.5, 7, 3), (0.1, 29, 2)]
)
def test_a_share_reserves_whole_positions(share: float, k: int, reserved: int) -> None:
    assert count_reserved(share, k) == reserved
