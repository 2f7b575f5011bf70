"""What a row of ``models`` says about where to start, whichever release wrote it."""

from dataclasses import asdict
from typing import Any

import pytest

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting
from jobs.offline.split import split_last_days
from jobs.tuning.budget import Budget
from jobs.tuning.fitting import part
from jobs.tuning.objective import Objective
from jobs.tuning.space import FORMULA, SPACES
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


def row(algorithm: str, parameters: dict[str, Any], *candidates: Any) -> tuple[int, str, dict[str, Any], Any]:
    serving = {"k": 50, "weighting": asdict(TUNED), "serving": FORMULA_SERVED.parameters()}
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
