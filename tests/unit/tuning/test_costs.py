"""Predicted costs depend on the shape of the input alone, and on all of it."""

import numpy as np
import pytest

from jobs.models.costs import InputShape
from jobs.models.pairs import MIN_COMPILED_WORK
from jobs.tuning import costs
from jobs.tuning.fitting import NEIGHBOURS
from tests.unit.offline import data

# user 0 has product 0 twice within minutes, and product 1 days later; user 1 and products 2 to 4 have no events
HISTORY = data.history((0, 0, 1, 0), (0, 0, 5, 0.001), (0, 1, 1, 5), (2, 1, 1, 1), users=4, items=5)


@pytest.mark.parametrize("is_sequential", [False, True])
@pytest.mark.parametrize(("gap_minutes", "lengths"), [(None, [2, 1]), (60.0, [1, 1, 1])])
def test_rows_are_users_or_sessions_and_repeats_are_one_entry(
    is_sequential: bool, gap_minutes: float | None, lengths: list[int]
) -> None:
    shape = costs.input_shape(HISTORY, gap_minutes, is_sequential)
    assert (shape.n_items, shape.lengths.tolist()) == (2, lengths)
    assert len(shape.rows) == len(shape.steps) == (sum(lengths) if is_sequential else 0)


@pytest.mark.parametrize(
    ("compiled", "user_s", "neighbour_s"),
    [
        (True, costs.USER_S, costs.NEIGHBOUR_S),
        (False, costs.INTERPRETED_USER_S, costs.INTERPRETED_NEIGHBOUR_S),
    ],
)
def test_answers_cost_by_user_and_by_the_events_that_the_profile_takes(
    compiled: bool, user_s: float, neighbour_s: float
) -> None:
    lengths = np.array([10, 50, 100])
    prepared = costs.predict_answers(lengths, 50, compiled=compiled, is_prepared=True, has_candidates=False)
    assert prepared == pytest.approx(costs.GROUP_S + 3 * user_s + (10 + 50 + 50) * NEIGHBOURS * neighbour_s)
    first = costs.predict_answers(lengths, 50, compiled=compiled, is_prepared=False, has_candidates=False)
    assert first - prepared == pytest.approx(3 * costs.PREPARED_USER_S)
    mixed = costs.predict_answers(lengths, 50, compiled=compiled, is_prepared=True, has_candidates=True)
    assert mixed == pytest.approx(costs.GROUP_S + 3 * user_s)
    tastes = costs.predict_answers(
        lengths, 50, compiled=compiled, is_prepared=True, has_candidates=True, n_new_taste_values=9_000
    )
    assert tastes - mixed == pytest.approx(9_000 * costs.TASTE_S)


def test_mixing_costs_by_part_and_by_item() -> None:
    assert costs.predict_mixing(2, 30) == pytest.approx(60 * costs.MIXED_S * NEIGHBOURS)
    assert costs.predict_mixing(3, 10) == pytest.approx(30 * costs.MIXED_S * NEIGHBOURS)


def test_the_loops_of_models_are_compiled_if_one_fold_is_large() -> None:
    side = int(np.sqrt(MIN_COMPILED_WORK)) + 1
    small, large = InputShape(5, np.ones(3, np.int64)), InputShape(side, np.array([side]))
    assert costs.predict_compiling([small, small]) == costs.COMPILE_ANSWERS_S
    assert costs.predict_compiling([small, large]) == costs.COMPILE_ANSWERS_S + costs.COMPILE_MODELS_S
