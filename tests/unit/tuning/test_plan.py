"""What a search works on: samples that the budget can pay for, and enough held-out users."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting
from jobs.models.arrays import Matrix
from jobs.models.cosine import cosine_neighbours
from jobs.models.costs import InputShape
from jobs.models.errors import Unsuitable
from jobs.models.neighbours import Neighbours
from jobs.models.registry import Algorithm
from jobs.offline.split import split_last_days
from jobs.tuning import plan
from jobs.tuning.budget import Budget
from jobs.tuning.costs import predict_input
from jobs.tuning.objective import USERS_MAX, Objective
from jobs.tuning.space import Space
from jobs.tuning.starts import starting_formula
from jobs.tuning.trial import standard_error
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


def test_the_inputs_of_the_first_fits_are_paid_for_too() -> None:
    spaces = {name: priced(0.0) for name in "abcd"}
    half = 0.5 * 2 * 4 * predict_input(len(HISTORY)) / plan.FIRST_FITS_SHARE
    assert plan.affordable_events(HISTORY, spaces, half, 2) == pytest.approx(len(HISTORY) / 2, rel=1e-6)


def test_a_sample_has_the_share_of_users_that_was_asked_for_and_another_seed_others() -> None:
    sample, other = (plan.sample_users(HISTORY, 30_000, seed=seed) for seed in (3, 4))
    assert len(sample) == pytest.approx(30_000, rel=0.2)
    assert set(sample.users.tolist()) != set(other.users.tolist())


def test_the_number_of_users_grows_with_the_square_of_the_error() -> None:
    spaces = {"cosine": priced(1.0)}
    tuned = objective(users=700)
    # a user in eight decides
    tuned.weights = np.where(np.arange(len(tuned.weights)) % 8 == 0, 1.0, 0.001)
    scores = tuned.score(tuned.fit(spaces["cosine"], {}, Weighting(), Budget(1)), starting_formula(tuned), Budget(1))
    error = standard_error(scores) / float(scores.mean())
    wanted = plan.enough_users(tuned, spaces, Budget(1e9))
    assert USERS_MAX < wanted < plan.USERS_LIMIT
    assert wanted == pytest.approx(len(scores) * (error / 0.05) ** 2, abs=1)


def test_users_are_as_many_as_possible_where_nothing_was_right_and_as_usual_where_nothing_could_be_fitted() -> None:
    def refusing(_user_items: Matrix, _k: int) -> Neighbours:
        raise Unsuitable("too small")

    useless = Space(Algorithm(lambda _user_items, k: Neighbours.none(60, k)))
    tuned = objective(users=100)
    tuned.weights = np.zeros(len(tuned.weights))
    assert plan.enough_users(tuned, {"useless": useless}, Budget(1e9)) == plan.USERS_LIMIT
    assert plan.enough_users(tuned, {"refusing": Space(Algorithm(refusing))}, Budget(1e9)) == USERS_MAX
