"""Single moves of a trial: fits and starts, charged to a budget."""

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.data.weighting import Weighting
from jobs.models.registry import Algorithm
from jobs.models.transitions import transitions_neighbours
from jobs.offline.split import leave_last_out
from jobs.tuning.budget import Budget
from jobs.tuning.objective import Objective
from jobs.tuning.space import Space
from jobs.tuning.starts import starting_formula
from jobs.tuning.steps import fit_trial, try_other_starts
from tests.unit.offline import data


def walkers(*, users: int = 150, items: int = 60, steps: int = 12) -> History:
    """Return users who go from each product to the next, three times out of four, and anywhere else otherwise."""
    random = np.random.default_rng(4)
    events, item = [], 0
    for user in range(users):
        item = int(random.integers(items))
        for step in range(steps):
            item = (item + 1) % items if random.random() < 0.75 else int(random.integers(items))
            events.append((user, item, 5.0, user / 10 + step / 1440))
    return data.history(*events, users=users, items=items)


@pytest.mark.parametrize(("history", "moves"), [(walkers(), True), (data.shop(), False)], ids=["walkers", "tastes"])
def test_where_the_last_product_says_most_the_search_moves_to_the_start_that_says_so(
    history: History, moves: bool
) -> None:
    tuned = Objective([leave_last_out(history, new_only=True)], Catalog.unknown(60))
    space = Space(Algorithm(transitions_neighbours, is_sequential=True))
    formula = starting_formula(tuned)
    budget = Budget(1_000)
    parameters = {"min_co_occurrence": 1, "window": 3}
    trial = fit_trial(tuned, "transitions", space, parameters, Weighting(), formula, budget)
    before = trial.score
    rivals = try_other_starts(tuned, space, trial, budget).rivals
    assert (trial.formula.rank_decay == 0.5) == moves
    if moves:
        assert trial.score > 1.1 * before
        # the start that it left is tuned as well
        assert any(rival.formula.rank_decay == 1.0 for rival in rivals)
