"""What a search works on: samples that the budget can pay for, and enough held-out users."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.models.cosine import cosine_neighbours
from jobs.models.costs import InputShape
from jobs.models.registry import Algorithm
from jobs.offline.split import split_last_days
from jobs.tuning import plan
from jobs.tuning.budget import Budget
from jobs.tuning.objective import USERS_MAX, Objective
from jobs.tuning.space import Space
from tests.unit.offline import data

HISTORY = data.shop(users=700, events=120_000)


def priced(seconds: float) -> Space:
    def predict(_shape: InputShape, _parameters: Mapping[str, Any]) -> float:
        return seconds

    return Space(Algorithm(cosine_neighbours, predict_seconds=predict))


def test_the_cheapest_algorithms_are_four_by_prediction_and_not_by_order() -> None:
    spaces = {"e": priced(5), "b": priced(2), "d": priced(4), "a": priced(1), "c": priced(3)}
    assert plan.cheapest(spaces, lambda space: space.algorithm.predict_seconds(shape(), {})) == ["a", "b", "c", "d"]


def shape() -> InputShape:
    return InputShape(1, np.ones(1, np.int64))


def test_a_history_whose_first_fits_the_budget_can_pay_for_is_tuned_on_whole() -> None:
    spaces = {name: priced(1.0) for name in "abcdef"}
    # four fits before two cuts and their inputs: a little more than 8 seconds
    enough = 9.0 / plan.FIRST_FITS_SHARE
    assert plan.affordable_events(HISTORY, spaces, enough, 2) == len(HISTORY)
    some = plan.affordable_events(HISTORY, spaces, enough / 1.5, 2)
    assert some == pytest.approx(len(HISTORY) * 6.0 / 8.4, rel=0.05)
    # a sample that is too small would tell nothing
    assert plan.affordable_events(HISTORY, spaces, 0.0, 2) == plan.SAMPLED_EVENTS_MIN
    small = data.shop()
    assert plan.affordable_events(small, spaces, 0.0, 2) >= len(small)


def test_a_sample_has_whole_users_and_is_the_same_each_time() -> None:
    sample = plan.sample_users(HISTORY, 60_000, seed=3)
    assert len(sample) == pytest.approx(60_000, rel=0.1)
    sampled = np.bincount(sample.users, minlength=700)
    assert np.isin(sampled, (0, *np.bincount(HISTORY.users))).all()
    kept = sampled > 0
    assert (sampled[kept] == np.bincount(HISTORY.users, minlength=700)[kept]).all()
    again = plan.sample_users(HISTORY, 60_000, seed=3)
    assert again.items.tobytes() == sample.items.tobytes()
    assert plan.sample_users(HISTORY, len(HISTORY), seed=3) is HISTORY


def objective(*, users: int) -> Objective:
    return Objective(
        [split_last_days(HISTORY, 7, new_only=False)], Catalog.unknown(60), users_max=users, compiled=False
    )


def test_more_users_are_held_out_where_the_mean_is_noisy_and_the_budget_allows_it() -> None:
    spaces = {"cosine": priced(1.0)}
    # hundreds of users who vary little
    assert plan.enough_users(objective(users=700), spaces, Budget(1e9)) == USERS_MAX
    noisy = objective(users=700)
    noisy.weights = np.where(np.arange(len(noisy.weights)) == 0, 1e4, 1e-9)
    rich, poor = Budget(1e9), Budget(10.0)
    assert plan.enough_users(noisy, spaces, rich) == plan.USERS_LIMIT
    assert rich.spent > 1.0
    assert plan.enough_users(noisy, spaces, poor) == USERS_MAX
