"""Tuning and differences within the noise."""

from dataclasses import replace

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.data.weighting import Weighting
from jobs.models.arrays import Matrix
from jobs.models.cosine import cosine_neighbours
from jobs.models.errors import Unsuitable
from jobs.models.neighbours import Neighbours
from jobs.models.registry import Algorithm
from jobs.models.transitions import transitions_neighbours
from jobs.offline.split import leave_last_out, split_last_days
from jobs.tuning.objective import Objective
from jobs.tuning.search import prefer_untuned, single_steps, starting_formula, try_fit, try_other_starts, tune
from jobs.tuning.space import Space
from jobs.tuning.trial import Deadline, Trial, is_better
from shared.domain.formula import Formula
from tests.unit.offline import data

USERS = 400


def made_trial(algorithm: str, mean: float, seed: int, spread: float = 0.1) -> Trial:
    """Return a trial whose users' scores have exactly this mean."""
    scores = np.random.default_rng(seed).normal(0, spread, USERS)
    return Trial(algorithm, {"seed": seed}, Weighting(), Formula(), mean + scores - scores.mean())


@pytest.mark.parametrize(("gain", "first"), [(0.004, "rp3beta"), (0.04, "ease")])
def test_the_untuned_trial_stays_first_unless_tuning_gained_more_than_noise(gain: float, first: str) -> None:
    untuned = made_trial("rp3beta", 0.3, 1)
    trials = [
        made_trial("ease", 0.3 + gain, 2),
        made_trial("rp3beta", 0.301, 3),
        Trial("als", {}, Weighting(), Formula()),
    ]
    prefer_untuned(trials, [made_trial("cosine", 0.2, 5), untuned])
    assert trials[0].algorithm == first
    assert sorted(trial.algorithm for trial in trials) == ["als", "ease", "rp3beta"]
    rp3beta = next(trial for trial in trials if trial.algorithm == "rp3beta")
    assert (rp3beta.parameters == untuned.parameters) == (first == "rp3beta")
    assert ("untuned" in (rp3beta.note or "")) == (first == "rp3beta")


def test_without_an_untuned_trial_or_scores_the_order_stays() -> None:
    trials = [made_trial("ease", 0.3, 2)]
    prefer_untuned(trials, [])
    prefer_untuned(never_ran := [replace(trials[0], scores=None)], [made_trial("cosine", 0.2, 5)])
    assert trials[0].note is None
    assert never_ran[0].scores is None


def test_any_scores_are_better_than_none_and_noise_is_no_gain() -> None:
    scores = made_trial("ease", 0.3, 2).scores
    assert scores is not None
    assert is_better(scores, None)
    assert not is_better(scores, scores)
    assert is_better(scores + 0.01, scores)
    noise = np.random.default_rng(0).normal(0, 1, USERS)
    assert not is_better(scores + noise - noise.mean() + 0.005, scores)


def test_steps_go_up_to_two_values_away_and_to_every_other_word() -> None:
    values = {"size": (1, 2, 3, 4, 5), "kind": ("a", "b", "c")}
    assert list(single_steps(values, {"size": 2, "kind": "b"})) == [
        ("size", 4),
        ("size", 3),
        ("size", 1),
        ("kind", "a"),
        ("kind", "c"),
    ]


def objective() -> Objective:
    return Objective([split_last_days(data.shop(), 7, new_only=False)], Catalog.unknown(60))


def test_sessions_that_are_too_many_for_an_algorithm_leave_it_at_users() -> None:
    refused: list[int] = []

    def for_users_only(user_items: Matrix, k: int) -> Neighbours:
        if user_items.shape[0] > 120:
            refused.append(user_items.shape[0])
            raise Unsuitable("more rows than users")
        return cosine_neighbours(user_items, k)

    (trial, *_) = tune(objective(), {"cosine": Space(Algorithm(for_users_only))}, Deadline(60, data.Ticks()))
    assert refused
    assert trial.scores is not None
    assert trial.weighting.session_gap_minutes is None


def test_sessions_that_would_take_too_long_are_not_tried() -> None:
    shapes: set[int] = set()

    def fit_neighbours(user_items: Matrix, k: int) -> Neighbours:
        shapes.add(user_items.shape[0])
        return cosine_neighbours(user_items, k)

    def seconds(rows: int, _items: int) -> float:
        return 0.0 if rows <= 120 else 1e6

    spaces = {"cosine": Space(Algorithm(fit_neighbours, estimate_seconds=seconds))}
    tune(objective(), spaces, Deadline(60, data.Ticks()))
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
    (trial, *_) = tune(objective(), {"cosine": Space(algorithm)}, Deadline(100, data.Ticks()))
    # half-life, power, repeats, sessions
    repeats = {key[-2] for key in trial.tried}
    assert (len(repeats) > 1) == tries_repeats


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
    trial = Trial("transitions", {}, Weighting(), formula)
    clock = data.Ticks()
    try_fit(tuned, space, trial, {"min_co_occurrence": 1, "window": 3}, Weighting(), clock)
    before = trial.score
    rivals, _ = try_other_starts(tuned, space, trial, Deadline(1_000, clock))
    assert (trial.formula.rank_decay == 0.5) == moves
    if moves:
        assert trial.score > 1.1 * before
        # the start that it left is tuned as well
        assert any(rival.formula.rank_decay == 1.0 for rival in rivals)


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
    tune(objective(), spaces, Deadline(200, data.Ticks()))
    assert first_rows["ease"] == 120
    assert first_rows["tfidf"] > 120
