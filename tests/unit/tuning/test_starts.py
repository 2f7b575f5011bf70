"""Where tuning starts, which parameters it varies, and single steps of one parameter."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.offline.split import split_last_days
from jobs.tuning.objective import Objective
from jobs.tuning.space import FORMULA, POPULARITY_DISCOUNTS, PRIOR_EVIDENCES, SHORT_PROFILE_FITS, WEIGHTING
from jobs.tuning.starts import (
    PERSONAL_START,
    formula_values,
    other_starts,
    single_steps,
    starting_formula,
    weighting_values,
)
from shared.domain.formula import POPULARITY_DISCOUNT, PRIOR_EVIDENCE, PROFILE_EVENTS_MAX, SHORT_PROFILE_FIT, Repeats
from tests.unit.offline import data

VISITORS_ONLY = {"popularity_discount", "short_profile_fit"}
# of an objective for all users alike
FORMULA_OF_ALL = {name: values for name, values in FORMULA.items() if name not in VISITORS_ONLY}


def test_steps_go_up_to_two_values_away_and_to_every_other_word() -> None:
    values = {"size": (1, 2, 3, 4, 5), "kind": ("a", "b", "c")}
    assert list(single_steps(values, {"size": 2, "kind": "b"})) == [
        ("size", 4),
        ("size", 3),
        ("size", 1),
        ("kind", "a"),
        ("kind", "c"),
    ]


def objective(catalog: Catalog | None = None, *, weight: float | None = None, **options: Any) -> Objective:
    history = data.shop()
    if weight is not None:
        history = replace(history, weights=np.full(len(history), weight, np.float32))
    new_only = options.pop("new_only", False)
    return Objective([split_last_days(history, 7, new_only=new_only)], catalog or Catalog.unknown(60), **options)


def with_categories() -> Catalog:
    return replace(Catalog.unknown(60), categories=np.zeros(60, np.int64))


@pytest.mark.parametrize(
    ("repeats", "policy", "repeat_weight"),
    [("exclude", "bought", 0.0), ("include", "nothing", 3.0), ("only", "unmet", 3.0)],
)
def test_the_search_starts_from_what_the_answers_are_for(repeats: Repeats, policy: str, repeat_weight: float) -> None:
    formula = starting_formula(objective(repeats=repeats))
    assert (formula.exclusion_policy, formula.repeat_weight) == (policy, repeat_weight)
    assert (formula.weight_power, formula.trending_prior, formula.trending_window) == (0.5, 0.03, "30d")


def test_taste_has_a_share_where_the_catalog_knows_one() -> None:
    assert starting_formula(objective()).blend == 1.0
    assert starting_formula(objective(with_categories())).blend == 0.8


def test_the_prior_shrinks_from_the_start_where_short_histories_count() -> None:
    assert starting_formula(objective()).prior_evidence is None
    assert starting_formula(objective(length_shares=(1 / 3, 1 / 3, 1 / 3))).prior_evidence == PRIOR_EVIDENCE


@pytest.mark.parametrize(
    ("repeats", "shares", "known", "discount", "fit"),
    [
        ("exclude", (1 / 3, 1 / 3, 1 / 3), True, POPULARITY_DISCOUNT, SHORT_PROFILE_FIT),
        ("include", (1 / 3, 1 / 3, 1 / 3), True, POPULARITY_DISCOUNT, SHORT_PROFILE_FIT),
        ("only", (1 / 3, 1 / 3, 1 / 3), True, 0.0, 0.0),
        ("exclude", (1 / 3, 1 / 3, 1 / 3), False, POPULARITY_DISCOUNT, 0.0),
        ("exclude", None, True, 0.0, 0.0),
    ],
    ids=["exclude", "include", "only", "unknown catalog", "all users alike"],
)
def test_short_profiles_are_answered_in_their_own_way_where_visitors_count(
    repeats: Repeats, shares: tuple[float, ...] | None, known: bool, discount: float, fit: float
) -> None:
    catalogs = [with_categories()] if known else []
    formula = starting_formula(objective(*catalogs, repeats=repeats, length_shares=shares))
    assert (formula.popularity_discount, formula.short_profile_fit) == (discount, fit)


@pytest.mark.parametrize("repeats", ["exclude", "include"])
@pytest.mark.parametrize("weight", [None, 3.0])
def test_other_starts_are_where_long_profiles_popularity_or_the_last_product_decide(
    repeats: Repeats, weight: float | None
) -> None:
    tuned = objective(repeats=repeats, weight=weight)
    start = starting_formula(tuned).with_(half_life_days=30.0)
    personal, popular, latest = other_starts(tuned, start)
    assert other_starts(tuned, start)[PERSONAL_START - 1] == personal
    of_personal = {
        "profile_events": PROFILE_EVENTS_MAX,
        "frequency_power": 1.0,
        "blend": 1.0,
        "trending_prior": 0.0,
        "half_life_days": None,
        "rank_decay": 1.0,
        # one weight has no power that matters
        "weight_power": 0.5 if weight else 0.0,
        "repeat_weight": 0.0 if repeats == "exclude" else 1.0,
    }
    assert personal == start.with_(**of_personal)
    assert popular == start.with_(trending_prior=3.0, trending_window="all")
    assert latest == start.with_(profile_events=20, frequency_power=0.0, blend=1.0, half_life_days=None, rank_decay=0.5)


@pytest.mark.parametrize(("weight", "window"), [(None, "engagement"), (3.0, "engagement"), (5.0, "all")])
def test_where_products_have_kinds_one_start_ranks_by_what_is_popular_of_the_users_kinds(
    weight: float | None, window: str
) -> None:
    tuned = objective(with_categories(), weight=weight)
    start = starting_formula(tuned)
    *others, by_kind = other_starts(tuned, start)
    assert len(others) == 3
    assert by_kind == start.with_(blend=0.3, taste="profile", affinity_trend=10.0, trending_window=window)


def test_popularity_decides_as_much_as_visitors_may_be_served_with() -> None:
    tuned = objective(length_shares=(1 / 3, 1 / 3, 1 / 3))
    _, popular, _ = other_starts(tuned, starting_formula(tuned))
    assert (popular.trending_prior, popular.trending_window, popular.prior_evidence) == (1.0, "all", 0.1)
    assert tuned.allows(popular)
    assert not tuned.allows(popular.with_(trending_prior=10.0))


def test_only_parameters_that_can_matter_are_tuned() -> None:
    everything = formula_values(objective(with_categories()))
    assert everything == {"exclusion_policy": ("nothing", "bought", "seen"), **FORMULA_OF_ALL}
    assert everything.keys() - formula_values(objective()).keys() == {"blend", "taste", "affinity_trend"}
    assert everything.keys() - formula_values(objective(with_categories(), weight=3.0)).keys() == {"weight_power"}
    assert everything.keys() - formula_values(objective(with_categories(), new_only=True)).keys() == {"repeat_weight"}
    visitors = formula_values(objective(with_categories(), repeats="exclude", length_shares=(1 / 3, 1 / 3, 1 / 3)))
    assert visitors["prior_evidence"] == PRIOR_EVIDENCES
    assert visitors["popularity_discount"] == POPULARITY_DISCOUNTS
    assert visitors["short_profile_fit"] == SHORT_PROFILE_FITS
    unknown = formula_values(objective(repeats="exclude", length_shares=(1 / 3, 1 / 3, 1 / 3)))
    assert visitors.keys() - unknown.keys() == {"blend", "taste", "affinity_trend", "short_profile_fit"}
    known = formula_values(objective(with_categories(), repeats="only", length_shares=(1 / 3, 1 / 3, 1 / 3)))
    assert not (VISITORS_ONLY | {"lasting_discount"}) & known.keys()
    assert "lasting_discount" in visitors
    assert visitors["exclusion_policy"] == ("bought", "seen")
    assert "engagement" in formula_values(objective(weight=3.0))["trending_window"]
    # the same order as "all"
    assert formula_values(objective(weight=5.0))["trending_window"] == ["7d", "30d", "all"]
    assert weighting_values(objective()) == WEIGHTING
    assert WEIGHTING.keys() - weighting_values(objective(weight=3.0)).keys() == {"weight_power"}
