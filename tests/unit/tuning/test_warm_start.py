"""What a row of ``models`` says about where to start, whichever release wrote it."""

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting
from jobs.models.cosine import cosine_neighbours
from jobs.models.neighbours import Neighbours
from jobs.models.registry import Algorithm
from jobs.offline.split import split_last_days
from jobs.tuning.budget import Budget
from jobs.tuning.fitting import part
from jobs.tuning.objective import Objective
from jobs.tuning.search import Search
from jobs.tuning.space import FORMULA, SPACES, WEIGHTING, Space
from jobs.tuning.starts import starting_formula, weighting_values
from jobs.tuning.steps import fresh_first, has_fresh_steps
from jobs.tuning.trial import FinishedTrial, Trial, TrialState
from jobs.tuning.warm_start import ActiveVersion, read_version
from shared.domain.formula import Formula
from tests.unit.offline import data

FORMULA_SERVED = Formula(blend=0.9, repeat_weight=0.02, half_life_days=30.0, exclusion_policy="seen")
TUNED = Weighting(60.0, 1.0, "log", 30.0)
EASE: dict[str, Any] = {"regularisation": 10.0, "min_co_occurrence": 3}


def candidate(algorithm: str, parameters: dict[str, Any], score: float | None = 0.1, **more: Any) -> dict[str, Any]:
    return {
        "algorithm": algorithm,
        "ndcg@20": score,
        "standard_error": 0.01,
        "parameters": parameters,
        "weighting": asdict(TUNED),
        "serving": FORMULA_SERVED.with_(repeat_weight=3.0).parameters(),
        **more,
    }


def row(
    algorithm: str, parameters: dict[str, Any], *candidates: Any, weighting: Weighting = TUNED
) -> tuple[int, str, dict[str, Any], Any]:
    serving = {"k": 50, "weighting": asdict(weighting), "serving": FORMULA_SERVED.parameters()}
    return 7, algorithm, parameters | serving, {"ndcg@20": 0.12, "candidates": list(candidates)}


def read(*stored: Any) -> ActiveVersion:
    active = read_version(*stored, SPACES)
    assert active is not None
    return active


def test_every_algorithm_that_was_scored_starts_from_its_tuned_values() -> None:
    transitions = dict(SPACES["transitions"].start) | {"window": 30}
    active = read(
        *row(
            "ease",
            EASE,
            candidate("ease", EASE, failed_steps=[["regularisation", 100.0], ["repeated", "sum"]]),
            candidate("transitions", transitions),
            candidate("als", {"factors": 32}, None),
        )
    )
    assert set(active.points) == {"ease", "transitions"}
    point = active.points["ease"]
    assert (point.parameters, point.weighting) == (EASE, TUNED)
    assert point.failed_steps == {("regularisation", 100.0), ("repeated", "sum")}
    assert point.serving["repeat_weight"] == 3.0
    assert point.serving["exclusion_policy"] == "seen"
    assert active.points["transitions"].parameters["window"] == 30
    assert (active.version, active.algorithm, active.parameters, active.weighting) == (7, "ease", EASE, TUNED)
    assert active.formula == FORMULA_SERVED.with_(repeat_weight=3.0)
    assert (active.score, active.standard_error) == (0.12, 0.01)
    # the newest days alone, where the version has them
    stored = row("ease", EASE, candidate("ease", EASE))
    stored[3]["newest"] = {"ndcg@20": 0.15, "standard_error": 0.02, "users": 30}
    assert (read(*stored).score, read(*stored).standard_error) == (0.15, 0.02)


def test_a_version_of_a_release_with_fewer_parameters_is_searched_as_if_the_shop_had_moved() -> None:
    version, algorithm, parameters, metrics = row("ease", EASE, candidate("ease", EASE))
    serving = FORMULA_SERVED.parameters()
    assert not read(version, algorithm, parameters | {"serving": serving}, metrics).has_moved
    del serving["taste"]
    assert read(version, algorithm, parameters | {"serving": serving}, metrics).has_moved
    assert read(version, algorithm, {}, metrics).has_moved


def test_parts_of_a_mixture_are_points_where_no_candidate_says_more() -> None:
    parts = [
        part("ease", EASE, TUNED, 2),
        part("cosine", {"min_co_occurrence": 5}, Weighting(), 1),
    ]
    active = read(
        *row(
            "mixture",
            {"parts": parts},
            candidate("mixture", {"parts": parts}),
            candidate("ease", {"regularisation": 1}),
        )
    )
    # the mixture is the best candidate, so its part goes before the algorithm alone
    assert active.points["ease"].parameters == EASE
    assert active.points["cosine"].parameters == {"min_co_occurrence": 5}
    assert active.points["cosine"].weighting == Weighting()
    assert active.points["cosine"].serving["blend"] == 0.9
    assert active.parameters == {"parts": parts}
    assert "mixture" not in active.points


def test_a_version_without_candidates_knows_its_own_values_but_not_the_unit_of_the_repeat_weight() -> None:
    active = read(*row("ease", EASE))
    assert set(active.points) == {"ease"}
    assert (active.points["ease"].parameters, active.points["ease"].weighting) == (EASE, TUNED)
    assert "repeat_weight" not in active.points["ease"].serving
    assert active.points["ease"].serving["half_life_days"] == 30.0
    # it is in similarity, so a model fitted again divides it by the mean of its scores
    assert active.formula_for(0.01).repeat_weight == pytest.approx(2.0)
    assert active.formula_for(0.0).repeat_weight == 0.02
    known = read(*row("ease", EASE, candidate("ease", EASE)))
    assert known.formula_for(0.01).repeat_weight == 3.0


def test_values_outside_the_space_are_snapped_for_the_search_and_kept_for_the_comparison() -> None:
    stored = {"regularisation": 12.5, "min_co_occurrence": 40, "gone": "x"}
    active = read(*row("ease", stored, candidate("ease", stored)))
    assert active.points["ease"].parameters == {"regularisation": 10.0, "min_co_occurrence": 5}
    assert active.parameters == {"regularisation": 12.5, "min_co_occurrence": 40}
    served = candidate("ease", EASE) | {"serving": {"blend": 0.76, "profile_events": 5_000, "rank_decay": 7}}
    active = read(*row("ease", EASE, served))
    assert active.points["ease"].serving == {"blend": 0.8, "profile_events": 200, "rank_decay": 1.0}
    assert (active.formula.blend, active.formula.profile_events, active.formula.rank_decay) == (0.76, 200, 1.0)


@pytest.mark.parametrize(
    ("name", "stored", "expected"),
    [
        ("half_life_days", None, None),
        ("half_life_days", 1e9, 120.0),
        # the default is None
        ("half_life_days", "30", None),
        ("half_life_days", float("nan"), None),
        ("half_life_days", True, None),
        ("half_life_days", [30.0], None),
        ("repeated", "sum", "sum"),
        # the default is "once"
        ("repeated", "twice", "once"),
        ("repeated", 1, "once"),
        ("repeated", None, "once"),
    ],
)
def test_a_value_of_another_type_is_ignored(name: str, stored: Any, expected: Any) -> None:
    weighting = {"half_life_days": 120.0, "weight_power": 1.0, "repeated": "sum", name: stored}
    active = read(*row("ease", EASE, candidate("ease", EASE) | {"weighting": weighting}))
    assert getattr(active.points["ease"].weighting, name) == expected
    assert active.points["ease"].weighting.weight_power == 1.0


def test_a_number_that_no_model_takes_is_ignored_and_zero_is_one_where_the_space_has_it() -> None:
    stored = {"weighting": {"half_life_days": 0, "weight_power": 0}, "serving": {"half_life_days": -1, "blend": 0}}
    active = read(1, "cosine", stored, {})
    assert (active.weighting.half_life_days, active.weighting.weight_power) == (None, 0)
    assert (active.formula.half_life_days, active.formula.blend) == (None, 0)


@pytest.mark.parametrize("metrics", [None, [], "x", {"candidates": None}, {"candidates": [None, 3, [], {}, {"a": 1}]}])
@pytest.mark.parametrize("parameters", [None, [], 4, {}, {"serving": 3, "weighting": "x"}, {"serving": {"blend": []}}])
def test_no_row_crashes(parameters: Any, metrics: Any) -> None:
    active = read(1, "cosine", parameters, metrics)
    assert active.parameters == SPACES["cosine"].start
    assert active.points["cosine"].parameters == SPACES["cosine"].start
    assert active.weighting == Weighting()
    assert (active.score, active.standard_error) == (None, None)


@pytest.mark.parametrize(
    ("algorithm", "parameters"),
    [
        ("word2vec", {"window": 3}),
        ("mixture", {}),
        ("mixture", {"parts": []}),
        ("mixture", {"parts": [None]}),
        ("mixture", {"parts": [part("word2vec", {}, TUNED, 1)]}),
        ("mixture", {"parts": [part("ease", EASE, TUNED, 0)]}),
        ("mixture", {"parts": [part("ease", EASE, TUNED, 1), part("word2vec", {}, TUNED, 1)]}),
        ("mixture", {"parts": [{"algorithm": ["ease"], "share": 1}]}),
        ("mixture", {"parts": [{"algorithm": "ease", "share": "1"}]}),
        ("mixture", {"parts": [{"algorithm": "mixture", "share": 1, "parameters": {}}]}),
    ],
)
def test_a_model_that_this_release_cannot_fit_is_no_active_version(algorithm: str, parameters: Any) -> None:
    assert read_version(1, algorithm, parameters, {}, SPACES) is None


def test_a_part_without_parameters_or_weighting_takes_those_of_the_start() -> None:
    active = read(1, "mixture", {"parts": [{"algorithm": "ease", "share": 1}]}, {})
    assert active.parameters["parts"] == [part("ease", SPACES["ease"].start, Weighting(), 1)]


def test_failed_steps_outside_the_space_are_forgotten() -> None:
    steps = [["regularisation", 100.0], ["regularisation", 7.0], ["gone", 1], ["repeated"], 3, [2, 3], ["repeated", []]]
    active = read(*row("ease", EASE, candidate("ease", EASE, failed_steps=steps)))
    assert active.points["ease"].failed_steps == {("regularisation", 100.0)}


def test_the_formula_takes_over_only_what_is_tuned_here() -> None:
    objective = Objective([split_last_days(data.shop(), 7, new_only=True)], Catalog.unknown(60))
    point = read(*row("ease", EASE, candidate("ease", EASE))).points["ease"]
    start = Formula(blend=1.0, repeat_weight=0.0, trending_prior=0.03)
    values = {name: FORMULA[name] for name in ("trending_prior", "half_life_days")}
    formula = point.formula_near(start, values)
    assert formula == start.with_(trending_prior=0.0, half_life_days=30.0)
    budget = Budget(0.0)
    neighbours = objective.fit(SPACES["ease"], point.parameters, point.weighting, budget)
    assert objective.score(neighbours, formula, budget).mean() > 0
    # a policy that this kind of answers does not allow
    assert point.formula_near(start, {"exclusion_policy": ("bought",)}).exclusion_policy == "bought"
    assert point.formula_near(start, {"exclusion_policy": ("bought", "seen")}).exclusion_policy == "seen"


# the search

BOTH = ("cosine", "tfidf")


def tuned(**options: Any) -> Objective:
    return Objective([split_last_days(data.shop(), 7, new_only=False)], Catalog.unknown(60), **options)


def search(
    active: ActiveVersion | None, *, budget: float = 0.0, names: tuple[str, ...] = BOTH, **options: Any
) -> Search:
    """Return a search that has run. Without a budget, only first fits and first scores are made."""
    spaces = {name: SPACES[name] for name in names}
    searched = Search(tuned(**options), spaces, Budget(budget), active=active)
    searched.run()
    return searched


def first_trial(active: ActiveVersion | None, name: str) -> Trial:
    """Return the trial of an algorithm before it is tuned, with a budget that lasts."""
    searched = Search(tuned(), {algorithm: SPACES[algorithm] for algorithm in BOTH}, Budget(10.0), active=active)
    searched.fit_active()
    return searched._fit_start(name, Weighting(), starting_formula(searched.objective))


def trial_of(searched: Search, algorithm: str) -> FinishedTrial:
    return next(trial for trial in searched.finished if trial.algorithm == algorithm)


def served(weighting: Weighting = TUNED, **changes: Any) -> dict[str, Any]:
    formula = Formula(blend=1.0, weight_power=0.5, repeat_weight=3.0, exclusion_policy="nothing").with_(**changes)
    return {"serving": formula.parameters(), "weighting": asdict(weighting)}


# values that this shop was tuned to, and values that suit no shop
GOOD: dict[str, Any] = {"half_life_days": 240.0, "trending_window": "all", "trending_prior": 0.03}
BAD: dict[str, Any] = {"profile_events": 1}


@pytest.mark.parametrize(("changes", "is_better"), [(GOOD, True), (BAD, False)])
def test_an_algorithm_starts_from_the_better_of_the_versions_values_and_the_start(
    changes: dict[str, Any], is_better: bool
) -> None:
    point = candidate("cosine", {"min_co_occurrence": 5}) | served(Weighting(120.0), **changes)
    active = read(*row("cosine", {"min_co_occurrence": 5}, point, weighting=Weighting(120.0)))
    trial = first_trial(active, "cosine")
    assert (trial.version, trial.parameters["min_co_occurrence"]) == ((7, 5) if is_better else (None, 2))
    assert trial.formula.half_life_days == (240.0 if is_better else None)
    assert trial.finish().summary()["started_from_version"] == trial.version
    # the other algorithm knows nothing of it
    other = first_trial(active, "tfidf")
    assert (other.version, other.parameters) == (None, SPACES["tfidf"].start)
    cold = first_trial(None, "cosine")
    assert (cold.version, cold.parameters) == (None, SPACES["cosine"].start)
    assert (trial.score > cold.score) == is_better


def test_a_used_up_budget_leaves_the_versions_algorithm_where_it_is() -> None:
    point = candidate("cosine", {"min_co_occurrence": 1}) | served(Weighting(), profile_events=1)
    searched = search(read(*row("cosine", {"min_co_occurrence": 1}, point, weighting=Weighting())), budget=0.0)
    assert trial_of(searched, "cosine").parameters == {"min_co_occurrence": 1}
    # the cheapest of the others run whatever the budget
    assert trial_of(searched, "tfidf").scores is not None


def recording(fitted: list[dict[str, Any]], name: str = "cosine") -> dict[str, Space]:
    """Return a space whose algorithm records the parameters of each fit."""

    def fit_neighbours(user_items: Any, k: int, **parameters: Any) -> Neighbours:
        fitted.append(parameters | {"rows": user_items.shape[0], "greatest": round(float(user_items.max()), 3)})
        return SPACES[name].algorithm.fit(user_items, k, **parameters)

    return {name: replace(SPACES[name], algorithm=Algorithm(fit_neighbours))}


def warm_version(*failed: list[Any], **metrics: Any) -> ActiveVersion:
    point = candidate("cosine", {"min_co_occurrence": 2}, failed_steps=list(failed)) | served(Weighting())
    version, algorithm, parameters, stored = row("cosine", {"min_co_occurrence": 2}, point, weighting=Weighting())
    return read(version, algorithm, parameters, stored | metrics)


def fits_of(active: ActiveVersion | None, budget: float) -> list[dict[str, Any]]:
    fitted: list[dict[str, Any]] = []
    Search(tuned(), recording(fitted), Budget(budget), active=active).run()
    return fitted


def test_steps_that_failed_then_come_last_and_the_others_get_the_budget() -> None:
    trial = Trial("cosine", {"min_co_occurrence": 2}, Weighting(), Formula(), np.zeros(3), [])
    objective, space = tuned(), SPACES["cosine"]
    steps = list(fresh_first(trial, space.values, WEIGHTING))
    failed = steps[:3]
    trial.deferred_steps = frozenset(failed)
    reordered = fresh_first(trial, space.values, WEIGHTING)
    assert reordered == [*steps[3:], *failed]
    assert has_fresh_steps(objective, space, trial)
    trial.failed_steps = frozenset(steps[3:])
    assert not has_fresh_steps(objective, space, trial)
    trial.failed_steps = frozenset(steps[4:])
    assert has_fresh_steps(objective, space, trial)
    # a move to other values forgets both; another formula does not
    better = replace(trial, formula=Formula(blend=0.1), scores=np.ones(3))
    assert trial.take_over(better)
    assert trial.deferred_steps == frozenset(failed)
    better = replace(trial, parameters={"min_co_occurrence": 3}, scores=np.ones(3) * 2)
    assert trial.take_over(better)
    assert (trial.deferred_steps, trial.failed_steps) == (frozenset(), frozenset())


def test_a_trial_that_ends_knows_the_steps_that_failed_from_where_it_is() -> None:
    done = trial_of(search(None, budget=200, names=("cosine",)), "cosine")
    assert done.state is TrialState.DONE
    stored = done.summary()["failed_steps"]
    assert stored == sorted(stored, key=str)
    steps = fresh_first(
        Trial("cosine", done.parameters, done.weighting, done.formula, np.zeros(1), []),
        SPACES["cosine"].values,
        weighting_values(tuned()),
    )
    assert sorted(stored, key=str) == sorted(map(list, steps), key=str)
    # it starts there the next time, and knows them
    again = read(*row("cosine", done.parameters, json.loads(json.dumps(done.summary()))))
    assert again.points["cosine"].failed_steps == {(name, value) for name, value in steps}
    assert (again.points["cosine"].parameters, again.points["cosine"].weighting) == (done.parameters, done.weighting)


def test_other_starts_are_tried_again_only_where_the_shop_has_moved() -> None:
    calm, moved = warm_version(), replace(warm_version(), has_moved=True)
    fallen = warm_version(newest={"ndcg@20": 0.9, "standard_error": 0.001})
    # the other starts train on sums: a pair of many events weighs more than 1
    assert not any(fit["greatest"] > 1 for fit in fits_of(calm, 0.001))
    assert any(fit["greatest"] > 1 for fit in fits_of(moved, 100))
    assert search(fallen, names=("cosine",)).explores
    assert search(moved, names=("cosine",)).explores
    assert not search(calm, names=("cosine",)).explores
    assert search(None, names=("cosine",)).explores


def test_where_nothing_moved_what_failed_is_not_deferred_but_where_it_has_it_is_open_again() -> None:
    step = ("min_co_occurrence", 5)
    calm = warm_version(list(step))
    first = Search(tuned(), recording([]), Budget(0.0), active=calm)
    first.fit_active()
    trial = first._fit_warm("cosine")
    assert trial is not None
    assert trial.deferred_steps == {step}
    moved = Search(tuned(), recording([]), Budget(0.0), active=replace(calm, has_moved=True))
    moved.fit_active()
    trial = moved._fit_warm("cosine")
    assert trial is not None
    assert trial.deferred_steps == frozenset()


def test_the_versions_algorithms_come_first_and_then_those_that_the_budget_did_not_reach() -> None:
    active = read(*row("tfidf", {}, candidate("tfidf", {}), candidate("cosine", {}), candidate("als", {}, None)))
    spaces = {name: SPACES[name] for name in ("cosine", "popularity", "tfidf", "als")}
    order = Search(tuned(), spaces, Budget(0.0), active=active)._order()
    assert order == ["tfidf", "popularity", "als", "cosine"]
    assert Search(tuned(), spaces, Budget(0.0))._order() == list(spaces)
    # after drift it is a first night again
    assert Search(tuned(), spaces, Budget(0.0), active=replace(active, has_moved=True))._order() == list(spaces)


def test_what_is_known_of_an_algorithm_outlives_a_night_that_does_not_reach_it() -> None:
    known = {"factors": 32, "regularisation": 10.0, "confidence": 20.0, "min_co_occurrence": 3}
    step = ["factors", 128]
    first = read(*row("cosine", {}, candidate("cosine", {}), candidate("als", known, failed_steps=[step])))
    searched = search(first, names=("cosine", "popularity", "tfidf", "bm25", "rp3beta", "als"))
    skipped = trial_of(searched, "als")
    assert (skipped.state, skipped.scores) == (TrialState.TOO_COSTLY, None)
    summaries = [json.loads(json.dumps(trial.summary())) for trial in searched.finished]
    point = read(8, "cosine", {}, {"candidates": summaries}).points["als"]
    assert (point.parameters, point.weighting, point.failed_steps) == (known, TUNED, {("factors", 128)})
    assert point.serving["half_life_days"] == 30.0
    # and it is one of the first to be tried in the next night
    assert not point.was_tried
    again = Search(tuned(), {name: SPACES[name] for name in ("cosine", "tfidf", "als")}, Budget(0.0))
    again.active, again.explores = read(8, "cosine", {}, {"candidates": summaries}), False
    assert again._order() == ["cosine", "als", "tfidf"]


def test_the_fit_of_the_active_model_serves_its_algorithm_as_the_first_fit() -> None:
    def first_fits(active: ActiveVersion) -> list[Any]:
        fitted: list[dict[str, Any]] = []
        searched = Search(tuned(), recording(fitted), Budget(10.0), active=active)
        searched.fit_active()
        searched._fit_start("cosine", Weighting(), starting_formula(searched.objective))
        return [fit["min_co_occurrence"] for fit in fitted]

    # the version's own values are those of the start
    assert first_fits(warm_version()) == [2]
    # one fit of the version's values, which lie between those of the space; one of the nearest; one of the start
    stored = candidate("cosine", {"min_co_occurrence": 4}) | served(Weighting())
    assert first_fits(read(*row("cosine", {"min_co_occurrence": 4}, stored, weighting=Weighting()))) == [4, 3, 2]
    stored = candidate("cosine", {"min_co_occurrence": 3}) | served(Weighting())
    assert first_fits(read(*row("cosine", {"min_co_occurrence": 3}, stored, weighting=Weighting()))) == [3, 2]


def test_a_version_that_cannot_be_fitted_leaves_its_points() -> None:
    active = replace(warm_version(), parameters={"no_such": 3})
    searched = search(active, names=("cosine",))
    assert (searched.refit, searched.fall) == (None, None)
    assert trial_of(searched, "cosine").score > 0


def test_values_that_need_more_than_their_share_of_the_budget_are_not_where_it_starts() -> None:
    costly = {
        "cosine": replace(SPACES["cosine"], algorithm=Algorithm(cosine_neighbours, predict_seconds=lambda *_: 9.0))
    }
    active = replace(warm_version(), parameters={"min_co_occurrence": 4})
    poor = Search(tuned(), costly, Budget(30.0), active=active)
    assert poor._fit_warm("cosine") is None
    rich = Search(tuned(), costly, Budget(60.0), active=active)
    assert rich._fit_warm("cosine") is not None
