"""The serving formula's parameters, as a model version stores them."""

import pytest

from shared.domain.formula import (
    EXCLUSION_POLICIES,
    TASTE_SOURCES,
    TRENDING_WINDOWS,
    ExclusionPolicy,
    Formula,
    Repeats,
    TasteSource,
    TrendingWindow,
)

STORED = {
    "profile_events": 7,
    "rank_decay": 0.9,
    "half_life_days": 30.0,
    "weight_power": 0.5,
    "frequency_power": 1.0,
    "repeat_weight": 2.0,
    "blend": 0.8,
    "trending_prior": 0.1,
    "affinity_trend": 0.0,
    "trending_window": "all",
    "returning": "unseen",
    "prior_evidence": 0.3,
    "popularity_discount": 0.5,
    "short_profile_fit": 0.7,
    "lasting_discount": 0.2,
    "taste": "profile",
}


def test_a_stored_formula_is_read_as_it_was_written() -> None:
    formula = Formula(7, 0.9, 30.0, 0.5, 1.0, 2.0, 0.8, 0.1, 0.0, "all", "seen", 0.3, 0.5, 0.7, 0.2, "profile")
    assert formula.parameters() == STORED
    assert Formula.from_parameters(STORED) == formula


@pytest.mark.parametrize("policy", EXCLUSION_POLICIES)
@pytest.mark.parametrize("window", TRENDING_WINDOWS)
@pytest.mark.parametrize("taste", TASTE_SOURCES)
def test_every_choice_survives_storage(policy: ExclusionPolicy, window: TrendingWindow, taste: TasteSource) -> None:
    formula = Formula(exclusion_policy=policy, trending_window=window, taste=taste)
    assert Formula.from_parameters(formula.parameters()) == formula


def test_models_store_the_policy_as_what_may_return() -> None:
    stored = {policy: Formula(exclusion_policy=policy).parameters()["returning"] for policy in EXCLUSION_POLICIES}
    assert stored == {"nothing": "all", "bought": "unbought", "seen": "unseen", "unmet": "met"}


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        {},
        {"blend": None},
        {"returning": "whatever"},
        {"taste": "whatever"},
        {"trending_window": "90d"},
        {"of_a_later_release": 1},
    ],
)
def test_parameters_missing_from_a_version_take_the_default(parameters: dict[str, object] | None) -> None:
    assert Formula.from_parameters(parameters) == Formula()
    assert Formula.from_parameters(parameters, Formula(profile_events=9)) == Formula(profile_events=9)


@pytest.mark.parametrize(
    ("repeats", "blend", "policy"), [("exclude", 0.1, "seen"), ("include", 0.2, "nothing"), ("only", 0.3, "unmet")]
)
def test_a_version_has_a_formula_for_each_kind_of_repeats(repeats: Repeats, blend: float, policy: str) -> None:
    stored = {
        "serving": {"blend": 0.1, "returning": "unseen"},
        "serving_include": {"blend": 0.2, "returning": "unbought"},
        "serving_only": {"blend": 0.3},
    }
    formula = Formula.of_version(stored, repeats)
    assert (formula.blend, formula.exclusion_policy) == (blend, policy)
    # an earlier release stored one formula, whose policy said what returns
    old = Formula.of_version({"serving": {"blend": 0.7, "returning": "all"}}, repeats)
    expected = {"exclude": "bought", "include": "nothing", "only": "unmet"}[repeats]
    assert (old.blend, old.exclusion_policy) == (0.7, expected)
    assert Formula.of_version(None, repeats, Formula(blend=0.4)).blend == 0.4


def test_the_prior_shrinks_with_the_products_that_are_known() -> None:
    formula = Formula(prior_evidence=0.5)
    assert [formula.prior_share(n) for n in (0, 1, 2)] == [1.0, pytest.approx(1 / 3), 0.2]
    assert Formula().prior_share(200) == 1.0


def test_a_shop_without_a_model_has_this_formula() -> None:
    assert Formula().parameters() == {
        "profile_events": 50,
        "rank_decay": 1.0,
        "half_life_days": None,
        "weight_power": 1.0,
        "frequency_power": 0.0,
        "repeat_weight": 0.0,
        "blend": 0.6,
        "trending_prior": 0.0,
        "affinity_trend": 1.0,
        "trending_window": "7d",
        "returning": "unbought",
        "prior_evidence": None,
        "popularity_discount": 0.0,
        "short_profile_fit": 0.0,
        "lasting_discount": 0.0,
        "taste": "preferences",
    }


def test_what_a_list_owes_to_a_short_profile_counts_in_full_up_to_three_products_and_then_less() -> None:
    formula = Formula(blend=0.8, popularity_discount=1.5, short_profile_fit=0.7)
    assert [formula.discount_power(n) for n in (0, 1, 3, 4, 30)] == pytest.approx([1.5, 1.5, 1.5, 1.125, 0.15])
    assert [formula.blend_for(n) for n in (0, 1, 3, 4, 6)] == pytest.approx([0.3, 0.3, 0.3, 0.475, 0.65])
    # the profile says enough: the share is the tuned one
    assert formula.blend_for(11) == formula.blend_for(200) == 0.8
    # a discount that lasts is the least, and takes nothing from a greater one
    lasting = formula.with_(lasting_discount=0.5)
    assert [lasting.discount_power(n) for n in (1, 8, 9, 10, 200)] == pytest.approx([1.5, 0.5625, 0.5, 0.5, 0.5])
    # versions of earlier releases have none of them
    assert Formula().discount_power(1) == 0.0
    assert Formula(blend=0.9).blend_for(1) == 0.9
