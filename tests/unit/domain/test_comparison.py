"""What became of each product of two answers."""

import pytest

from shared.domain.comparison import Place, compare


@pytest.mark.parametrize(
    ("before", "after", "changes_before", "changes_after"),
    [
        ([1, 2, 3], [1, 2, 3], ["same", "same", "same"], ["same", "same", "same"]),
        # an excluded product: the others keep their order
        ([1, 2, 3], [2, 3, 4], ["removed", "same", "same"], ["same", "same", "added"]),
        # a product that is pinned from outside: the last one leaves
        ([1, 2, 3], [9, 1, 2], ["same", "same", "removed"], ["added", "same", "same"]),
        # a boosted product passes one other
        ([1, 2, 3], [1, 3, 2], ["same", "down", "up"], ["same", "up", "down"]),
        ([], [1], [], ["added"]),
        ([1], [], ["removed"], []),
        ([], [], [], []),
    ],
)
def test_a_product_stays_moves_comes_or_goes(
    before: list[int], after: list[int], changes_before: list[str], changes_after: list[str]
) -> None:
    found = compare(before, after)
    assert [place.change for place in found.before] == changes_before
    assert [place.change for place in found.after] == changes_after


def test_each_place_names_the_one_in_the_other_answer() -> None:
    found = compare([7, 8], [8, 9])
    assert found.before == [Place(1, None, "removed"), Place(2, 1, "same")]
    assert found.after == [Place(1, 2, "same"), Place(2, None, "added")]
