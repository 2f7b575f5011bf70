"""Cut sessions and weights of histories, on histories worked out by hand."""

import numpy as np
import pytest

from jobs.data.history import History
from jobs.tuning.short_histories import REQUESTS_MIN, cut_first_sessions, group_weights, share_lengths
from shared.domain.formula import Repeats
from tests.unit.offline import data

MINUTE = 1 / 1440
# user 0 views 0 and 1, buys 2 (all in one session), and buys 3 and 0 a day later; user 1 only views; user 2 buys twice
HELD_OUT = data.history(
    (0, 0, 1, 0),
    (0, 1, 1, 30 * MINUTE),
    (0, 2, 5, 40 * MINUTE),
    (0, 3, 5, 1),
    (0, 0, 5, 1.1),
    (1, 1, 1, 0),
    (1, 2, 1, MINUTE),
    (2, 3, 5, 0),
    (2, 3, 5, 31 * MINUTE),
    items=5,
)


def cuts(held_out: History, repeats: Repeats, limit: int = 100) -> list[tuple[list[int], list[int]]]:
    """Return the products before and after each cut."""
    short = cut_first_sessions(held_out, repeats, limit=limit, seed=0)
    if short is None:
        return []
    history = short.history
    return sorted(
        (history.items[history.users == row].tolist(), np.flatnonzero(short.relevant.toarray()[row]).tolist())
        for row in range(len(history.user_ids))
    )


def test_first_sessions_are_cut_after_one_two_and_three_events() -> None:
    assert cuts(HELD_OUT, "include") == [([0], [0, 2, 3]), ([0, 1], [0, 2, 3]), ([0, 1, 2], [0, 3]), ([3], [3])]


def test_products_of_the_cut_are_not_relevant_to_answers_that_exclude_them() -> None:
    # the second purchase of user 2 lies in another session, yet its product is known
    assert cuts(HELD_OUT, "exclude") == [([0], [2, 3]), ([0, 1], [2, 3]), ([0, 1, 2], [3])]


def test_a_sample_is_drawn_where_there_are_more() -> None:
    assert len(cuts(HELD_OUT, "include", limit=2)) == 2
    assert cuts(HELD_OUT, "include", limit=0) == []
    assert cuts(data.history((0, 0, 1, 0)), "include") == []


def test_sessions_are_in_order_of_time_whatever_the_order_of_the_events() -> None:
    shuffled = History(
        HELD_OUT.user_ids,
        HELD_OUT.product_ids,
        HELD_OUT.users[::-1],
        HELD_OUT.items[::-1],
        HELD_OUT.weights[::-1],
        HELD_OUT.times[::-1],
    )
    assert cuts(shuffled, "exclude") == cuts(HELD_OUT, "exclude")


def test_each_group_of_lengths_counts_by_its_share() -> None:
    lengths = np.asarray([1, 2, 2, 3, 19, 20])
    weights = group_weights(lengths, (0.5, 0.3, 0.2))
    assert weights.tolist() == pytest.approx([1.0, 1.0, 1.0, 0.9, 0.9, 1.2])
    # a group that is missing leaves its share to the others
    assert group_weights(np.asarray([1, 30]), (0.2, 0.5, 0.3)).tolist() == pytest.approx([0.8, 1.2])
    assert group_weights(np.asarray([5, 5]), (1.0, 0.0, 0.0)).tolist() == [1.0, 1.0]


def test_shares_follow_the_requests_where_there_are_enough() -> None:
    assert share_lengths([REQUESTS_MIN - 1, 0, 0]) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert share_lengths([REQUESTS_MIN // 2, 0, REQUESTS_MIN // 2]) == (0.5, 0.0, 0.5)
