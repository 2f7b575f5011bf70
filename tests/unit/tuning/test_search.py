"""The phases of a search: what runs, in which order, and what is put first."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting
from jobs.models.arrays import Matrix
from jobs.models.cosine import cosine_neighbours
from jobs.models.costs import InputShape
from jobs.models.errors import Unsuitable
from jobs.models.neighbours import NO_NEIGHBOUR, Neighbours
from jobs.models.registry import Algorithm
from jobs.models.transitions import transitions_neighbours
from jobs.offline.split import split_last_days
from jobs.tuning.budget import Budget, Watch
from jobs.tuning.objective import Objective
from jobs.tuning.search import AFTER_STARTS_SHARE, MIXING_SHARE, SWEEP_SHARE, Search
from jobs.tuning.space import Space
from jobs.tuning.starts import starting_formula
from jobs.tuning.steps import fit_trial
from jobs.tuning.trial import FinishedTrial, Trial, TrialState
from shared.domain.formula import Formula
from tests.unit.offline import data

USERS = 400


def made_trial(algorithm: str, mean: float, seed: int, spread: float = 0.1) -> Trial:
    """Return a trial whose users' scores have exactly this mean."""
    scores = np.random.default_rng(seed).normal(0, spread, USERS)
    return Trial(algorithm, {"seed": seed}, Weighting(), Formula(), mean + scores - scores.mean(), [])


def search(*algorithms: str, spaces: dict[str, Space] | None = None, budget: float = 60) -> Search:
    spaces = spaces or {name: Space(Algorithm(cosine_neighbours)) for name in algorithms or ("cosine",)}
    return Search(objective(), spaces, Budget(budget))


@pytest.mark.parametrize(("gain", "first"), [(0.004, "rp3beta"), (0.04, "ease")])
def test_the_untuned_trial_stays_first_unless_tuning_gained_more_than_noise(gain: float, first: str) -> None:
    untuned, made = made_trial("rp3beta", 0.3, 1), search("ease", "rp3beta", "als")
    made.finished = [
        made_trial("ease", 0.3 + gain, 2).finish(),
        made_trial("rp3beta", 0.301, 3).finish(),
        FinishedTrial("als", {}, Weighting(), Formula(), TrialState.UNSUITABLE),
    ]
    made.untuned = [made_trial("cosine", 0.2, 5), untuned]
    made.prefer_untuned()
    assert made.finished[0].algorithm == first
    assert sorted(trial.algorithm for trial in made.finished) == ["als", "ease", "rp3beta"]
    rp3beta = next(trial for trial in made.finished if trial.algorithm == "rp3beta")
    assert (rp3beta.parameters == untuned.parameters) == (first == "rp3beta")
    assert (rp3beta.state is TrialState.UNTUNED) == (first == "rp3beta")


def test_without_an_untuned_trial_or_scores_the_order_stays() -> None:
    made = search()
    made.finished = [made_trial("ease", 0.3, 2).finish()]
    made.prefer_untuned()
    assert made.finished[0].state is not TrialState.UNTUNED
    made.finished = [FinishedTrial("ease", {}, Weighting(), Formula(), TrialState.TOO_COSTLY)]
    made.untuned = [made_trial("cosine", 0.2, 5)]
    made.prefer_untuned()
    assert [trial.algorithm for trial in made.finished] == ["ease"]


def objective() -> Objective:
    return Objective([split_last_days(data.shop(), 7, new_only=False)], Catalog.unknown(60))


def test_sessions_that_are_too_many_for_an_algorithm_leave_it_at_users() -> None:
    refused: list[int] = []

    def for_users_only(user_items: Matrix, k: int) -> Neighbours:
        if user_items.shape[0] > 120:
            refused.append(user_items.shape[0])
            raise Unsuitable("more rows than users")
        return cosine_neighbours(user_items, k)

    (trial, *_) = search(spaces={"cosine": Space(Algorithm(for_users_only))}).run()
    assert refused
    assert trial.scores is not None
    assert trial.weighting.session_gap_minutes is None


def test_sessions_that_would_take_too_long_are_not_tried() -> None:
    shapes: set[int] = set()

    def fit_neighbours(user_items: Matrix, k: int) -> Neighbours:
        shapes.add(user_items.shape[0])
        return cosine_neighbours(user_items, k)

    def seconds(shape: InputShape, _parameters: Mapping[str, Any]) -> float:
        return 0.0 if shape.n_rows <= 120 else 1e6

    search(spaces={"cosine": Space(Algorithm(fit_neighbours, predict_seconds=seconds))}).run()
    assert shapes == {120}


@pytest.mark.parametrize(
    ("algorithm", "tries_repeats"),
    [
        (Algorithm(transitions_neighbours, is_sequential=True), False),
        (Algorithm(cosine_neighbours), True),
    ],
)
def test_other_ways_to_combine_repeats_are_tried_where_the_model_sees_them(
    algorithm: Algorithm, tries_repeats: bool
) -> None:
    made = search(spaces={"cosine": Space(algorithm)}, budget=100)
    made.run()
    # half-life, power, repeats, sessions
    repeats = {key[-2] for key in made.live[0].tried}
    assert (len(repeats) > 1) == tries_repeats


def test_models_of_whole_tastes_start_from_users_and_the_others_from_the_sessions_that_suited_the_first() -> None:
    first_rows: dict[str, int] = {}

    def recording(name: str) -> Algorithm:
        def fit_neighbours(user_items: Matrix, k: int) -> Neighbours:
            first_rows.setdefault(name, user_items.shape[0])
            return Neighbours.none(60, k)

        return Algorithm(fit_neighbours)

    def by_sessions_only(user_items: Matrix, k: int) -> Neighbours:
        return cosine_neighbours(user_items, k) if user_items.shape[0] > 120 else Neighbours.none(60, k)

    spaces = {
        "cosine": Space(Algorithm(by_sessions_only)),
        "ease": Space(recording("ease"), starts_by_user=True),
        "tfidf": Space(recording("tfidf")),
    }
    search(spaces=spaces, budget=200).run()
    assert first_rows["ease"] == 120
    assert first_rows["tfidf"] > 120


def made_first(made: Search, name: str) -> Trial:
    """Return the trial at the start of an algorithm's space."""
    space = made.spaces[name]
    formula = starting_formula(made.objective)
    return fit_trial(made.objective, name, space, dict(space.start), Weighting(), formula, made.budget)


def peak(at: tuple[int, ...]) -> Space:
    """Return a space whose algorithm is right at some values of ``place`` and knows nothing at others."""

    def fit_neighbours(user_items: Matrix, k: int, *, place: int) -> Neighbours:
        return cosine_neighbours(user_items, k) if place in at else Neighbours.none(60, k)

    values = {"place": tuple(range(12))}
    return Space(Algorithm(fit_neighbours), values, {"place": 0}, {"place": 11})


def test_a_leading_algorithm_is_tuned_from_a_far_start_as_well() -> None:
    made = search(spaces={"ease": peak((11,))}, budget=100)
    (trial,) = made.run()
    assert trial.parameters == {"place": 11}
    # both starts are one trial in the end, which has the fits of both
    assert trial.fits > 2
    near = search(spaces={"ease": peak((0,))}, budget=100).run()
    assert [trial.parameters for trial in near] == [{"place": 0}]


@pytest.mark.parametrize(("spent", "tunes"), [(0.59, True), (0.61, False)])
def test_first_tuning_leaves_a_share_for_what_follows(spent: float, tunes: bool) -> None:
    assert pytest.approx(0.4) == AFTER_STARTS_SHARE
    made = search("cosine", "tfidf", budget=30)
    made.live = [made_first(made, "cosine")]
    trial = made_first(made, "tfidf")
    made.budget.charge(spent * 30 - made.budget.spent)
    before = made.budget.spent
    made._tune_first(trial, predicted=30)
    assert (made.budget.spent > before) == tunes


@pytest.mark.parametrize(("spent", "tunes"), [(0.7, True), (0.76, False)])
def test_far_starts_leave_a_share_for_the_sweep_and_mixing(spent: float, tunes: bool) -> None:
    assert SWEEP_SHARE + MIXING_SHARE == 0.25
    made = search(spaces={"ease": peak((0, 11))}, budget=30)
    made.live = [made_first(made, "ease")]
    made.budget.charge(spent * 30 - made.budget.spent)
    made.fit_far_starts()
    assert [trial.parameters for trial in made.live] == [{"place": 0}] + [{"place": 11}] * tunes


def test_the_sweep_varies_the_best_trial_alone_within_its_share() -> None:
    made = search("cosine", "tfidf", budget=10)
    made.live = [made_first(made, name) for name in ("cosine", "tfidf")]
    best, other = made.live
    other.scores = other.scores * 0.5
    costs, before = (best.cost, other.cost), made.budget.spent
    made.sweep()
    spent = made.budget.spent - before
    assert 0 < spent <= SWEEP_SHARE * 10 + made.objective.predict_score(best.formula.with_(profile_events=200))
    assert (best.cost, other.cost) == (pytest.approx(costs[0] + spent), costs[1])


def test_an_algorithm_that_leads_nothing_has_no_far_start() -> None:
    places: list[int] = []

    def useless(_user_items: Matrix, k: int, *, place: int) -> Neighbours:
        places.append(place)
        return Neighbours.none(60, k)

    far = Space(Algorithm(useless), {"place": (0, 11)}, {"place": 0}, {"place": 11})
    search(spaces={"cosine": Space(Algorithm(cosine_neighbours)), "ease": far}, budget=100).run()
    assert set(places) == {0}


def test_four_algorithms_are_fitted_without_any_budget_and_the_others_are_not() -> None:
    trials = search("a", "b", "c", "d", "e", budget=0.0).run()
    assert sorted(trial.algorithm for trial in trials if trial.scores is not None) == ["a", "b", "c", "d"]
    assert [(trial.algorithm, trial.state) for trial in trials if trial.scores is None] == [
        ("e", TrialState.TOO_COSTLY)
    ]


def test_an_aborted_search_fits_one_algorithm_and_ends() -> None:
    readings = iter((0.0,))
    budget = Budget(5.0, Watch(5.0, lambda: next(readings, 1e9)))
    assert budget.left == 0.0
    spaces = {name: Space(Algorithm(cosine_neighbours)) for name in ("a", "b", "c", "d", "e")}
    trials = Search(objective(), spaces, budget).run()
    assert budget.is_aborted
    assert [trial.algorithm for trial in trials if trial.scores is not None] == ["a"]


def test_trials_far_behind_are_given_up_and_those_without_room_for_a_step_are_stopped() -> None:
    dear = Space(Algorithm(cosine_neighbours, predict_seconds=lambda *_: 1e6))
    made = search(spaces=dict.fromkeys(("ease", "rp3beta", "tfidf"), dear))
    made.live = [
        made_trial("ease", 0.3, 1),
        # 85 % of the best are 0.255
        made_trial("rp3beta", 0.256, 2),
        made_trial("tfidf", 0.254, 3),
        # and less than 97 % of the same algorithm's other trial
        made_trial("ease", 0.29, 4),
    ]
    for trial in made.live:
        trial.parameters = {}
    made.share_budget()
    assert [trial.state for trial in made.live] == [
        TrialState.STOPPED,
        TrialState.STOPPED,
        TrialState.GIVEN_UP,
        TrialState.GIVEN_UP,
    ]


def test_of_two_trials_of_one_algorithm_the_better_remains_with_the_cost_of_both() -> None:
    made = search("ease", "tfidf")
    made.live = [
        replace(made_trial("ease", 0.2, 1), fits=3, cost=1.5),
        replace(made_trial("tfidf", 0.25, 2), fits=4, cost=2.0),
        replace(made_trial("ease", 0.3, 3), fits=5, cost=4.0),
    ]
    made.finish()
    assert [(trial.algorithm, trial.parameters, trial.fits, trial.cost) for trial in made.finished] == [
        ("ease", {"seed": 3}, 8, 5.5),
        ("tfidf", {"seed": 2}, 4, 2.0),
    ]


def test_what_the_sweep_and_mixing_leave_is_spent_on_more_steps() -> None:
    def fit_neighbours(user_items: Matrix, k: int, *, place: int) -> Neighbours:
        neighbours = cosine_neighbours(user_items, k)
        # the greater the place, the better
        unknown = np.arange(60) % 12 > place
        neighbours.indices[unknown], neighbours.scores[unknown] = NO_NEIGHBOUR, 0
        neighbours.co_occurrence[unknown] = 0
        return neighbours

    def seconds(_shape: InputShape, _parameters: Mapping[str, Any]) -> float:
        return 4.0

    space = Space(Algorithm(fit_neighbours, predict_seconds=seconds), {"place": tuple(range(12))}, {"place": 4})
    made = search(spaces={"ease": space}, budget=60)
    made.live = [made_first(made, "ease")]
    # with what is reserved for the sweep and for mixing, 15 s, there is room for two steps
    made.budget.charge(60 - made.budget.spent - 15 - 9)
    made.share_budget()
    (trial,) = made.live
    assert trial.state is TrialState.STOPPED
    place = trial.parameters["place"]
    assert place < 11
    made.sweep()
    made.mix()
    assert made.budget.left > 5
    made.spend_rest()
    assert trial.parameters["place"] > place
    assert made.budget.left < 5
    assert made.budget.spent <= 60 + 4


def test_a_mixture_stays_until_a_better_one_and_only_while_it_is_better_than_the_best_alone() -> None:
    made = search("ease", "tfidf")
    made.live = [made_trial("ease", 0.3, 1), made_trial("tfidf", 0.2, 2)]
    made.mixture = Trial("mixture", {}, Weighting(), Formula(), made.live[0].scores + 0.01, [])
    made.finish()
    assert [trial.algorithm for trial in made.finished] == ["mixture", "ease", "tfidf"]
    # a step after mixing
    made.finished = []
    made.live[0].scores = made.live[0].scores + 0.02
    made.finish()
    assert [trial.algorithm for trial in made.finished] == ["ease", "tfidf"]


def test_compiling_is_charged_before_anything_is_fitted() -> None:
    tuned = objective()
    tuned.compiled = True
    compiling = tuned.predict_compiling()
    assert compiling > 0
    budget = Budget(compiling)
    spaces = {name: Space(Algorithm(cosine_neighbours)) for name in ("a", "b", "c", "d", "e")}
    trials = Search(tuned, spaces, budget).run()
    assert {trial.algorithm: trial.state for trial in trials}["e"] is TrialState.TOO_COSTLY
