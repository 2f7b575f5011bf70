"""Training events lie before the cut, and no later event is among them."""

import numpy as np
import pytest

from jobs.offline.split import (
    NothingToMeasure,
    Split,
    estimate_holdout_days,
    leave_last_out,
    select_events,
    split_by_file,
    split_last_days,
)
from tests.unit.offline import data


def test_the_last_days_are_held_out_and_only_carts_and_purchases_are_relevant() -> None:
    history = data.history((0, 0, 1, 0), (0, 1, 5, 1), (0, 2, 5, 9), (0, 3, 1, 9.5), (0, 1, 3, 10), (1, 2, 5, 10))
    split = split_last_days(history, 3, new_only=False)
    assert len(split.train) == 2
    # user 1 has no past
    assert split.users.tolist() == [0]
    assert np.flatnonzero(split.relevant[[0]].toarray()[0]).tolist() == [1, 2]
    assert split.known_items.tolist() == [True, True, False, False]
    new = split_last_days(history, 3, new_only=True)
    assert np.flatnonzero(new.relevant[[0]].toarray()[0]).tolist() == [2]


def test_an_event_at_the_cut_is_learnt_from_and_none_after_it() -> None:
    split = split_last_days(data.shop(), 7, new_only=False)
    assert split.train.times.max() <= split.now


def test_each_users_last_is_left_out_with_all_that_came_after_it() -> None:
    history = data.history((0, 0, 5, 0), (0, 1, 5, 1), (0, 2, 1, 2), (1, 0, 1, 0), (1, 2, 3, 5), (2, 1, 1, 3))
    split = leave_last_out(history, new_only=False)
    assert split.users.tolist() == [0, 1]
    assert split.relevant.toarray()[:2].tolist() == [[0, 1, 0], [0, 0, 1]]
    # user 2 has no relevant event, so all events of user 2 are training events
    assert [(int(u), int(i)) for u, i in zip(split.train.users, split.train.items, strict=True)] == [
        (0, 0),
        (1, 0),
        (2, 1),
    ]


def test_events_after_the_held_out_file_are_not_learnt_from() -> None:
    events = data.history((0, 0, 5, 0), (0, 1, 5, 3), (1, 1, 5, 0))
    held_out = data.history((0, 2, 5, 2), users=2)
    split = split_by_file(events, held_out, new_only=False)
    # user 0's event of day 3 comes after the held-out one
    assert [(int(u), int(i)) for u, i in zip(split.train.users, split.train.items, strict=True)] == [(0, 0), (1, 1)]
    assert np.flatnonzero(split.relevant[[0]].toarray()[0]).tolist() == [2]


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([(0, 0, 5, 0)], "no events before"),
        ([(0, 0, 5, 0), (1, 0, 5, 100)], "no user"),
        ([(0, 0, 5, 0), (0, 1, 1, 100)], "no user"),
    ],
)
def test_a_split_without_test_events_is_refused_with_its_reason(
    events: list[tuple[int, int, float, float]], reason: str
) -> None:
    with pytest.raises(NothingToMeasure, match=reason):
        split_last_days(data.history(*events, items=3), 10, new_only=True)


def test_a_holdout_of_the_last_days_is_distinguished_from_each_users_last_event() -> None:
    history = data.shop()
    late = history.times > history.times.max() - np.timedelta64(10, "D")
    assert estimate_holdout_days(select_events(history, ~late), select_events(history, late)) == pytest.approx(
        10, abs=0.1
    )
    lasts = np.isin(np.arange(len(history)), [np.flatnonzero(history.users == user)[-1] for user in range(120)])
    assert estimate_holdout_days(select_events(history, ~lasts), select_events(history, lasts)) is None


MICROSECOND = 1 / 86_400e6


def trained_on(split: Split) -> list[tuple[int, int]]:
    """Return user and item of each event before the cut."""
    return [(int(user), int(item)) for user, item in zip(split.train.users, split.train.items, strict=True)]


def test_the_event_at_the_cut_is_learnt_from_and_the_next_is_held_out() -> None:
    # the newest event is of day 10, so three days are cut at day 7
    history = data.history((0, 0, 5, 7 - MICROSECOND), (0, 1, 5, 7), (0, 2, 5, 7 + MICROSECOND), (0, 3, 5, 10))
    split = split_last_days(history, 3, new_only=False)
    assert split.now == data.START + np.timedelta64(7, "D")
    assert trained_on(split) == [(0, 0), (0, 1)]
    assert np.flatnonzero(split.relevant[[0]].toarray()[0]).tolist() == [2, 3]


def test_each_users_last_relevant_event_is_held_out_with_what_happened_at_the_same_time() -> None:
    # item 2 is viewed at the very time at which item 1 is bought, item 0 just before it
    history = data.history((0, 0, 1, 3 - MICROSECOND), (0, 1, 5, 3), (0, 2, 1, 3), (0, 3, 1, 3 + MICROSECOND))
    split = leave_last_out(history, new_only=False)
    assert trained_on(split) == [(0, 0)]
    assert np.flatnonzero(split.relevant[[0]].toarray()[0]).tolist() == [1]


def test_an_event_at_the_time_of_the_first_held_out_one_is_not_learnt_from() -> None:
    # user 1 has an event at the same time, and nothing held out
    events = data.history((0, 0, 5, 2 - MICROSECOND), (0, 1, 5, 2), (0, 3, 5, 2 + MICROSECOND), (1, 1, 5, 2))
    held_out = data.history((0, 2, 5, 2), (0, 4, 5, 9), users=2)
    split = split_by_file(events, held_out, new_only=False)
    assert trained_on(split) == [(0, 0), (1, 1)]
    assert np.flatnonzero(split.relevant[[0]].toarray()[0]).tolist() == [2, 4]


def test_now_is_the_cut_or_the_newest_event_that_is_learnt_from() -> None:
    history = data.history((0, 0, 5, 6.5), (0, 1, 5, 9), (0, 2, 5, 10))
    # ages count from the cut, half a day after the last event before it
    assert split_last_days(history, 3, new_only=False).now == data.START + np.timedelta64(7, "D")
    assert leave_last_out(history, new_only=False).now == data.START + np.timedelta64(9, "D")
