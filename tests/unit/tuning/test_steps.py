"""Single moves of a trial: fits and starts, charged to a budget."""

from collections.abc import Sequence

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.data.weighting import Weighting
from jobs.models.arrays import Float64Array
from jobs.models.neighbours import Neighbours
from jobs.models.registry import Algorithm
from jobs.models.transitions import transitions_neighbours
from jobs.offline.split import leave_last_out
from jobs.tuning.budget import Budget
from jobs.tuning.objective import Objective
from jobs.tuning.space import FORMULA, Space
from jobs.tuning.starts import starting_formula
from jobs.tuning.steps import fit_trial, sweep_formula, try_other_starts, tune_formula
from jobs.tuning.trial import Trial
from shared.domain.formula import Formula
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


class Landscape(Objective):
    """Scores a formula by its values alone; what a scoring costs stays."""

    def score(self, neighbours: Sequence[Neighbours], formula: Formula, budget: Budget) -> Float64Array:
        budget.charge(1.0)
        # a valley three places wide lies before the best half-life, which the rank's decay then moves
        heights = {None: 0.3, 240.0: 0.2, 120.0: 0.1, 60.0: 0.1, 30.0: 0.1, 15.0: 0.5, 7.0: 0.4}
        height = heights[formula.half_life_days]
        if formula.rank_decay == 0.5:
            height += 0.1 if formula.half_life_days in (15.0, 7.0) else -0.1
        if (formula.rank_decay, formula.half_life_days) == (0.5, 7.0):
            height += 0.3
        return np.full(10, height)


def landscape() -> tuple[Landscape, Trial]:
    tuned = Landscape([leave_last_out(data.shop(users=30, events=300), new_only=True)], Catalog.unknown(60))
    formula = Formula(half_life_days=None, rank_decay=1.0)
    return tuned, Trial("cosine", {}, Weighting(), formula, tuned.score([], formula, Budget(1)), [])


VALUES = {name: FORMULA[name] for name in ("half_life_days", "rank_decay", "frequency_power")}


def test_a_sweep_finds_what_single_steps_do_not_and_goes_on_until_nothing_gains() -> None:
    tuned, trial = landscape()
    tune_formula(tuned, trial, VALUES, Budget(1_000))
    assert trial.formula.half_life_days is None
    sweep_formula(tuned, trial, VALUES, Budget(1_000))
    assert (trial.formula.half_life_days, trial.formula.rank_decay) == (7.0, 0.5)
    assert trial.score == pytest.approx(0.8)
    # what does not gain stays
    assert trial.formula == Formula(half_life_days=7.0, rank_decay=0.5)
    budget = Budget(1_000)
    sweep_formula(tuned, trial, VALUES, budget)
    # every other value once
    assert budget.spent == sum(len(options) - 1 for options in VALUES.values())


@pytest.mark.parametrize(("seconds", "half_life_days"), [(4.0, None), (5.0, 15.0)])
def test_a_sweep_ends_with_its_budget(seconds: float, half_life_days: float | None) -> None:
    tuned, trial = landscape()
    budget = Budget(seconds)
    sweep_formula(tuned, trial, VALUES, budget)
    assert trial.formula.half_life_days == half_life_days
    assert budget.spent == seconds
