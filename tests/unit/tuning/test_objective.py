"""What algorithms learn from while they are tuned."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting
from jobs.models.costs import InputShape
from jobs.models.neighbours import Neighbours
from jobs.models.registry import Algorithm
from jobs.models.sequences import Sequences
from jobs.offline.split import split_last_days
from jobs.tuning.budget import Budget
from jobs.tuning.costs import predict_input
from jobs.tuning.objective import Objective
from jobs.tuning.space import SPACES, Space
from shared.domain.formula import Formula
from tests.unit.offline import data


def objective() -> Objective:
    split = split_last_days(data.shop(), 7, new_only=False)
    return Objective([split], Catalog.unknown(60))


def test_each_algorithm_gets_its_kind_of_input_of_the_same_weighting() -> None:
    received: list[object] = []

    def fit_neighbours(model_input: object, k: int) -> Neighbours:
        received.append(model_input)
        return Neighbours.none(60, k)

    by_matrix, by_order = Space(Algorithm(fit_neighbours)), Space(Algorithm(fit_neighbours, is_sequential=True))
    tuned = objective()
    for space in (by_matrix, by_order, by_matrix, by_order):
        tuned.fit(space, {}, Weighting(), Budget(60))
    assert [isinstance(model_input, Sequences) for model_input in received] == [False, True, False, True]
    # computed once
    assert received[0] is received[2]
    assert received[1] is received[3]


def test_a_fit_is_estimated_by_the_rows_that_the_weighting_makes() -> None:
    tuned = objective()
    train = tuned.folds[0].split.train

    def seconds(shape: InputShape, parameters: Mapping[str, Any]) -> float:
        return shape.n_rows * 100.0 + shape.n_items * parameters["each"]

    space, parameters = Space(Algorithm(lambda *_: Neighbours.none(60, 1), predict_seconds=seconds)), {"each": 3.0}
    making = predict_input(len(train))
    n_items = len(np.unique(train.items))
    expected = 100 * len(np.unique(train.users)) + 3 * n_items
    assert tuned.predict_fit(space, parameters, Weighting()) == pytest.approx(expected + making)
    pauses = 0
    for user in np.unique(train.users):
        times = np.sort(train.times[train.users == user])
        pauses += int((np.diff(times) > np.timedelta64(1, "D")).sum())
    assert pauses > 0
    expected += 100 * pauses
    by_day = Weighting(session_gap_minutes=1440.0)
    assert tuned.predict_fit(space, parameters, by_day) == pytest.approx(expected + making)


def test_fits_and_scores_are_charged_as_predicted_and_what_is_kept_is_charged_once() -> None:
    tuned, budget, space, formula = objective(), Budget(1e9), SPACES["cosine"], Formula()
    first = tuned.predict_fit(space, space.start, Weighting())
    neighbours = tuned.fit(space, space.start, Weighting(), budget)
    assert budget.spent == first
    again = tuned.predict_fit(space, space.start, Weighting())
    assert again == pytest.approx(first - predict_input(len(tuned.folds[0].split.train)))
    before, predicted = budget.spent, tuned.predict_score(formula)
    tuned.score(neighbours, formula, budget)
    assert budget.spent == before + predicted
    assert tuned.predict_score(formula) < predicted
    # mixing the scores of known candidates costs less, whatever the profile's length, than finding them
    mixed = formula.with_(blend=0.1)
    assert tuned.predict_score(mixed, neighbours) < tuned.predict_score(mixed)
    other = [replace(model) for model in neighbours]
    assert tuned.predict_score(mixed, other) == tuned.predict_score(mixed)
    before, predicted_mix = budget.spent, tuned.predict_score(mixed, neighbours)
    tuned.score(neighbours, mixed, budget)
    assert budget.spent == pytest.approx(before + predicted_mix)
    # a longer profile costs more, another window is prepared first
    assert tuned.predict_score(formula.with_(profile_events=1)) < tuned.predict_score(formula)
    assert tuned.predict_score(formula.with_(trending_window="30d")) == predicted
