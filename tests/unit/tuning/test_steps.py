"""Single moves of a trial: fits and starts, charged to a budget."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.data.weighting import Weighting
from jobs.models.arrays import Float64Array, Matrix
from jobs.models.cosine import cosine_neighbours
from jobs.models.neighbours import Neighbours
from jobs.models.registry import Algorithm
from jobs.models.transitions import transitions_neighbours
from jobs.offline.split import leave_last_out, split_last_days
from jobs.tuning.budget import Budget
from jobs.tuning.objective import Objective
from jobs.tuning.space import FORMULA, SPACES, Space
from jobs.tuning.starts import other_starts, starting_formula
from jobs.tuning.steps import (
    FORMULA_SHARE,
    fit_trial,
    predict_step,
    step_model,
    sweep_formula,
    try_other_starts,
    tune_for,
    tune_formula,
    tune_rivals,
)
from jobs.tuning.trial import FinishedTrial, Trial, TrialState
from shared.domain.formula import Formula, Repeats
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


class Recording(Objective):
    """An objective that remembers the formulae and the fits that it was asked about."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.formulae: list[Formula] = []
        self.weightings: list[Weighting] = []

    def fit(
        self, space: Space, parameters: Mapping[str, Any], weighting: Weighting, budget: Budget
    ) -> list[Neighbours]:
        """Return the neighbours."""
        self.weightings.append(weighting)
        return super().fit(space, parameters, weighting, budget)

    def score(self, neighbours: Sequence[Neighbours], formula: Formula, budget: Budget) -> Float64Array:
        """Return the scores."""
        self.formulae.append(formula)
        return super().score(neighbours, formula, budget)


class Hill(Recording):
    """An objective of which it is known what is best: a greater trending prior, and the last of the parameters."""

    def score(self, neighbours: Sequence[Neighbours], formula: Formula, budget: Budget) -> Float64Array:
        """Return scores that grow with the trending prior and with the scores of the neighbours."""
        scores = super().score(neighbours, formula, budget)
        return np.full(len(scores), formula.trending_prior + float(neighbours[0].scores.max()))


def recording(kind: type[Recording] = Recording, **options: Any) -> Any:
    return kind([split_last_days(data.shop(), 7, new_only=False)], Catalog.unknown(60), **options)


def costing(seconds: float) -> Space:
    """Return a space whose fits cost this much."""
    return Space(Algorithm(cosine_neighbours, predict_seconds=lambda *_: seconds))


def level(user_items: Matrix, k: int, *, level: float) -> Neighbours:
    """Return neighbours whose scores are ``level`` at most."""
    neighbours = cosine_neighbours(user_items, k)
    neighbours.scores[:] *= level / neighbours.scores.max()
    return neighbours


LEVELS = Space(Algorithm(level, predict_seconds=lambda *_: 1.0), {"level": (0.2, 0.5, 0.8)}, {"level": 0.2})


def test_a_first_fit_costs_what_it_was_charged_whatever_was_spent_before() -> None:
    tuned, budget = recording(), Budget(100.0)
    budget.charge(40.0)
    trial = fit_trial(tuned, "cosine", costing(2.0), {}, Weighting(), starting_formula(tuned), budget)
    assert trial.cost == pytest.approx(budget.spent - 40.0)
    assert 2.0 <= trial.cost < 3.0


@pytest.mark.parametrize(("factor", "fits"), [(3.99, 1), (4.01, 2)])
def test_sums_are_tried_where_the_budget_has_room_for_them(factor: float, fits: int) -> None:
    tuned = recording()
    trial = fit_trial(tuned, "cosine", costing(2.0), {}, Weighting(), starting_formula(tuned), Budget(9.0))
    budget = Budget(factor * predict_step(tuned, costing(2.0), trial))
    try_other_starts(tuned, costing(2.0), trial, budget)
    assert trial.fits == fits
    # events of several weights count alike, so that only their number does
    assert tuned.weightings[1:] == [Weighting(weight_power=0.0, repeated="sum")] * (fits - 1)


def test_a_fit_for_all_starts_must_leave_room_for_each() -> None:
    # products with kinds have one start more
    catalog = replace(Catalog.unknown(60), categories=np.zeros(60, np.int64))
    tuned = Recording([split_last_days(data.shop(), 7, new_only=False)], catalog)
    trial = fit_trial(tuned, "cosine", costing(2.0), {}, Weighting(), starting_formula(tuned), Budget(9.0))
    assert len(other_starts(tuned, trial.formula)) == 4
    for factor, fits in ((4.9, 1), (5.1, 2)):
        again = replace(trial)
        try_other_starts(tuned, costing(2.0), again, Budget(factor * predict_step(tuned, costing(2.0), trial)))
        assert again.fits == fits


def test_the_untuned_trial_is_that_of_the_personal_start_and_the_others_are_rivals() -> None:
    tuned = recording()
    formula = starting_formula(tuned)
    trial = fit_trial(tuned, "cosine", costing(0.1), {}, Weighting(), formula, Budget(9.0))
    starts = try_other_starts(tuned, costing(0.1), trial, Budget(100.0))
    personal, *_ = others = other_starts(tuned, formula)
    assert starts.untuned is not None
    assert starts.untuned.formula == personal
    assert {formula.trending_window for formula in others} == {"30d", "all"}
    assert [rival.formula for rival in starts.rivals] == [
        start for start in (formula, *others) if start != trial.formula
    ]
    # the trial is where the best is
    assert trial.score >= max(rival.score for rival in starts.rivals)
    # without a budget for it there is none
    trial = fit_trial(tuned, "cosine", costing(0.1), {}, Weighting(), formula, Budget(9.0))
    assert try_other_starts(tuned, costing(0.1), trial, Budget(0.0)).untuned is None


def test_the_better_rival_is_tuned_first() -> None:
    tuned = recording()
    formula = starting_formula(tuned)
    trial = fit_trial(tuned, "cosine", costing(0.1), {}, Weighting(), formula, Budget(9.0))
    rivals = [
        replace(trial, formula=formula.with_(half_life_days=days), scores=trial.scores - loss)
        for days, loss in ((7.0, 0.2), (15.0, 0.1))
    ]
    tuned.formulae.clear()
    # for one score
    tune_rivals(tuned, trial, rivals, {"blend": (0.0, 0.5, 1.0)}, Budget(1e-9))
    assert [formula.half_life_days for formula in tuned.formulae] == [15.0]


@pytest.mark.parametrize("repeats", ["exclude", "include", "only"])
def test_a_model_is_tuned_for_other_answers_from_the_better_of_two_formulae(repeats: Repeats) -> None:
    tuned = recording(repeats=repeats)
    start = starting_formula(tuned)
    neighbours = tuned.fit(SPACES["cosine"], {"min_co_occurrence": 2}, Weighting(), Budget(9.0))
    for own in (start.with_(profile_events=10, exclusion_policy="seen"), start.with_(trending_prior=10.0, blend=0.0)):
        tuned.formulae.clear()
        best = FinishedTrial(
            "cosine",
            {},
            Weighting(),
            own.with_(repeat_weight=0.3, lasting_discount=0.5),
            TrialState.DONE,
            neighbours=neighbours,
        )
        chosen = tune_for(tuned, best, Budget(0.0))
        # what is left out, the weight of known products and the discounts are those of the answers
        adapted = own.with_(exclusion_policy=start.exclusion_policy, repeat_weight=start.repeat_weight)
        assert tuned.formulae == [adapted, start]
        scores = [tuned.score(neighbours, formula, Budget(0.0)).mean() for formula in (adapted, start)]
        assert chosen == (adapted if scores[0] >= scores[1] else start)


@pytest.mark.parametrize("is_over", [True, False], ids=["over", "lasting"])
def test_what_sold_well_in_a_season_that_is_over_is_discounted_for_long_profiles(is_over: bool) -> None:
    """Of the ten products that everybody bought, five each, the others are bought later only in a season that lasts."""
    n_users, n_items = 40, 60
    events = []
    for user in range(n_users):
        sold_well = [(user + place) % 10 for place in range(10)]
        events += [(user, item, 5.0, 1.0 + user / 100) for item in sold_well[:5]]
        own = [10 + (user + place) % 50 for place in range(10)]
        events += [(user, item, 5.0, 50.0 + user / 100) for item in own]
        later = [10 + (user + place) % 50 for place in range(10, 15)] if is_over else sold_well[5:]
        events += [(user, item, 5.0, 90.0 + user / 100) for item in later]
    split = split_last_days(data.history(*events, users=n_users, items=n_items), 20, new_only=True)
    tuned = Objective([split], Catalog.unknown(n_items), repeats="exclude")
    neighbours = Neighbours.none(n_items, 20)
    neighbours.indices[:, :10] = np.arange(10)
    neighbours.indices[10:, 10:15] = 10 + (np.arange(50)[:, None] + np.arange(1, 6)) % 50
    neighbours.scores[:] = np.where(neighbours.indices >= 10, 0.5, 0.2) * (neighbours.indices >= 0)
    formula = Formula(blend=1.0, exclusion_policy="seen")
    trial = Trial("cosine", {}, Weighting(), formula, tuned.score([neighbours], formula, Budget(9.0)), [neighbours])
    sweep_formula(tuned, trial, {"lasting_discount": FORMULA["lasting_discount"]}, Budget(1_000.0))
    assert (trial.formula.lasting_discount > 0) == is_over
    assert trial.formula.with_(lasting_discount=0.0) == formula


def test_a_formula_that_visitors_may_not_be_served_with_is_not_even_tried() -> None:
    tuned = recording(repeats="exclude", length_shares=(1 / 3, 1 / 3, 1 / 3))
    # steps from here lead to priors of both kinds
    start = starting_formula(tuned).with_(trending_prior=1.0)
    trial = fit_trial(tuned, "cosine", costing(0.1), {}, Weighting(), start, Budget(9.0))
    tune_formula(tuned, trial, {"trending_prior": FORMULA["trending_prior"]}, Budget(1_000.0))
    assert len(tuned.formulae) > 2
    assert all(tuned.allows(formula) for formula in tuned.formulae)
    assert not tuned.allows(start.with_(trending_prior=3.0))


def test_a_parameter_moves_on_while_it_gains() -> None:
    tuned = recording(Hill)
    trial = fit_trial(tuned, "cosine", LEVELS, {"level": 0.2}, Weighting(), Formula(), Budget(9.0))
    tune_formula(tuned, trial, {"trending_prior": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)}, Budget(9.0))
    assert trial.formula.trending_prior == 0.6
    # and ends with the budget
    trial = fit_trial(tuned, "cosine", LEVELS, {"level": 0.2}, Weighting(), Formula(), Budget(9.0))
    tune_formula(tuned, trial, {"trending_prior": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)}, Budget(1e-9))
    assert trial.formula.trending_prior == 0.2


def test_a_step_of_the_model_is_charged_to_its_trial_and_keeps_where_the_trial_came_from() -> None:
    tuned, budget = recording(Hill), Budget(300.0)
    trial = fit_trial(tuned, "level", LEVELS, {"level": 0.2}, Weighting(), Formula(), Budget(9.0))
    trial.version, cost, neighbours = 7, trial.cost, trial.neighbours
    assert step_model(tuned, LEVELS, trial, budget)
    assert (trial.parameters, trial.version, trial.fits) == ({"level": 0.8}, 7, 2)
    assert trial.neighbours is not neighbours
    assert trial.cost == pytest.approx(cost + budget.spent)
    # what failed before is forgotten where the trial has moved to
    assert trial.failed_steps == frozenset()
    moved = trial.parameters
    assert step_model(tuned, LEVELS, trial, budget)
    assert trial.parameters == moved
    assert trial.failed_steps == {("level", 0.2)}


def test_the_formula_gets_a_share_of_the_budget_after_a_step() -> None:
    tuned = recording(Hill)
    space = replace(LEVELS, algorithm=Algorithm(level, predict_seconds=lambda *_: 0.0))
    trial = fit_trial(tuned, "level", space, {"level": 0.2}, Weighting(), Formula(), Budget(9.0))
    budget = Budget(5 * tuned.predict_score(Formula()) / FORMULA_SHARE)
    tuned.formulae.clear()
    assert step_model(tuned, space, trial, budget)
    # the step itself, and what the share pays for, of which the last may exceed it
    assert 2 < len(tuned.formulae) <= 7
    assert budget.left > budget.seconds / 2


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
