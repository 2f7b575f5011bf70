"""The days held out for tuning: the last ones, enough of them, and earlier cuts where users are few."""

import itertools

import numpy as np
import pytest

from jobs.offline.split import leave_last_out
from jobs.tuning.splits import split_for_tuning
from tests.unit.offline import data


def test_days_for_tuning_are_the_last_ones_and_leave_two_thirds_before_them() -> None:
    history = data.shop(users=700, events=20_000, days=30)
    splits, days = split_for_tuning(history, new_only=False)
    assert days == 7
    assert splits[0].train.times.max() <= history.times.max() - np.timedelta64(7, "D")
    _, days = split_for_tuning(history, new_only=False, holdout_days=60)
    assert days == pytest.approx(10, abs=0.1)


def test_cuts_are_made_at_two_moments_and_more_where_users_are_few() -> None:
    assert len(split_for_tuning(data.shop(), new_only=False)[0]) == 2
    splits, days = split_for_tuning(data.shop(users=700, events=60_000), new_only=False)
    assert days is not None
    assert len(splits) == 3
    for later, earlier in itertools.pairwise(splits):
        assert earlier.train.times.max() <= later.now - np.timedelta64(round(0.99 * days * 24), "h")
    large_shop = data.shop(users=2500, items=100, events=60_000)
    assert len(split_for_tuning(large_shop, new_only=False)[0]) == 2


def test_leave_last_out_tunes_on_each_users_event_before_the_last() -> None:
    history = data.history((0, 0, 5, 0), (0, 1, 5, 1), (0, 2, 5, 2), (1, 0, 5, 5), (1, 1, 5, 6), (1, 2, 5, 7))
    splits, days = split_for_tuning(leave_last_out(history, new_only=False).train, new_only=False, leave_last=True)
    assert days is None
    assert len(splits) == 1
    assert splits[0].relevant.toarray().tolist() == [[0, 1, 0], [0, 1, 0]]
    assert len(split_for_tuning(data.shop(), new_only=False, leave_last=True)[0]) == 2
