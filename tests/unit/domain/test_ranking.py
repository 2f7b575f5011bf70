"""The serving formula on candidates few enough to work out by hand."""

import math

import pytest

from shared.domain.formula import FILLER_SCORE, NEARNESS_MIN, VIEWED_TIER, Formula
from shared.domain.ranking import Candidate, TasteProfile, affinity, distance_km, nearness, rank

TASTE = TasteProfile({"category": {"1": 3.0, "2": 1.0}, "tag": {"heart": 2.0}})


def ids(
    candidates: list[Candidate],
    taste: TasteProfile = TASTE,
    formula: Formula | None = None,
    k: int = 10,
    **options: object,
) -> list[int]:
    ranked = rank(candidates, taste, formula or Formula(), k, **options)  # type: ignore[arg-type]  # options by name
    return [product.id for product in ranked]


def test_the_collaborative_score_orders_where_there_is_no_taste() -> None:
    assert ids([Candidate(1, cf=0.2), Candidate(2, cf=0.9), Candidate(3, cf=0.5)], TasteProfile()) == [2, 3, 1]


def test_blend_one_ignores_taste_and_blend_zero_ignores_neighbours() -> None:
    neighbour, liked = Candidate(1, cf=1.0, category_id=9), Candidate(2, cf=0.1, category_id=1)
    assert ids([liked, neighbour], formula=Formula(blend=1.0)) == [1, 2]
    assert ids([neighbour, liked], formula=Formula(blend=0.0)) == [2, 1]


def test_a_score_is_the_formula_worked_out() -> None:
    taste = TasteProfile({"category": {"1": 1.0, "2": 1.0}})
    candidates = [Candidate(1, cf=2.0, trending=4.0), Candidate(2, cf=1.0, trending=2.0, category_id=1)]
    ranked = rank(candidates, taste, Formula(blend=0.75, trending_prior=0.5, affinity_trend=2.0), 2)
    # the only fit is the greatest one
    assert {product.id: (product.score, product.affinity, product.cf) for product in ranked} == {
        1: (pytest.approx(0.75 + 0.5), 0.0, 1.0),
        2: (pytest.approx(0.75 * 0.5 + 0.25 + 0.5 * 0.5), 1.0, 0.5),
    }


def test_affinity_trend_weighs_the_trend_against_affinity() -> None:
    plain, trending = Candidate(1, category_id=1), Candidate(2, category_id=2, trending=1.0)
    # 3/4 of the taste against 1/4 of it
    assert ids([plain, trending], formula=Formula(blend=0.0, affinity_trend=1.9)) == [1, 2]
    assert ids([plain, trending], formula=Formula(blend=0.0, affinity_trend=2.1)) == [2, 1]


def test_affinity_is_the_share_of_the_taste_that_a_product_matches() -> None:
    assert affinity(Candidate(1, category_id=1), TASTE) == 0.75
    assert affinity(Candidate(1, category_id=2, tags=["heart"]), TASTE) == 0.75
    assert affinity(Candidate(1, category_id=3), TASTE) == 0


def test_a_price_far_from_the_price_band_halves_the_affinity() -> None:
    taste = TasteProfile({"category": {"1": 1.0}}, price_band=(0.0, 0.5))
    near, far = Candidate(1, category_id=1, price=1.0), Candidate(2, category_id=1, price=10_000.0)
    assert affinity(near, taste) == 1.0
    assert affinity(far, taste) == pytest.approx(0.5)


def test_fillers_come_last_in_order_of_their_tier() -> None:
    candidates = [
        Candidate(1, tier=2),
        Candidate(2, tier=1, position=2),
        Candidate(3, tier=1, position=1),
        Candidate(4, cf=0.01),
    ]
    assert ids(candidates) == [4, 3, 2, 1]


def test_a_filler_competes_where_the_prior_counts_its_trend() -> None:
    candidates = [Candidate(1, cf=0.1), Candidate(2, tier=1, position=1, trending=1.0), Candidate(3, cf=1.0)]
    assert ids(candidates, TasteProfile()) == [3, 1, 2]
    assert ids(candidates, TasteProfile(), Formula(trending_prior=0.3)) == [3, 2, 1]


def test_sold_out_products_come_last() -> None:
    candidates = [Candidate(1, cf=1.0, in_stock=False), Candidate(2, tier=3)]
    assert ids(candidates) == [2, 1]
    assert ids(candidates, stock_first=False) == [1, 2]


def test_ties_are_broken_the_same_way_every_time() -> None:
    candidates = [Candidate(3, cf=1.0), Candidate(1, cf=1.0), Candidate(2, cf=1.0, trending=1.0)]
    assert ids(candidates, TasteProfile()) == ids(candidates[::-1], TasteProfile()) == [2, 1, 3]


def test_no_candidates_is_an_empty_answer() -> None:
    assert rank([], TASTE, Formula(), 10) == []


def test_nearer_products_win_where_both_have_a_location() -> None:
    london, paris = (
        Candidate(1, cf=1.0, latitude=51.5, longitude=-0.13),
        Candidate(2, cf=1.0, latitude=48.86, longitude=2.35),
    )
    assert ids([london, paris], TasteProfile(), location=(48.85, 2.3)) == [2, 1]
    assert distance_km(51.5, -0.13, 48.86, 2.35) == pytest.approx(343, abs=3)


def test_k_is_the_most_that_is_returned() -> None:
    assert ids([Candidate(n, cf=n) for n in range(1, 50)], TasteProfile(), k=3) == [49, 48, 47]


@pytest.mark.parametrize(
    ("price", "deviations"), [(math.e**0.25, 0.5), (math.e**-0.25, 0.5), (math.e**0.5, 1), (1.0, 0)]
)
def test_the_affinity_falls_with_the_distance_from_the_price_band(price: float, deviations: float) -> None:
    taste = TasteProfile({"category": {"1": 1.0}}, price_band=(0.0, 0.5))
    expected = 0.5 + 0.5 * math.exp(-0.5 * deviations**2)
    assert affinity(Candidate(1, category_id=1, price=price), taste) == pytest.approx(expected)
    # without a price, or without a match, there is nothing to lower
    assert affinity(Candidate(1, category_id=1, price=0.0), taste) == 1.0
    assert affinity(Candidate(1, category_id=2, price=price), taste) == 0.0


def test_the_bonus_for_nearness_is_halved_with_each_half_distance() -> None:
    # a degree of the equator is 111.2 km
    here, product = (0.0, 0.0), Candidate(1, latitude=0.0, longitude=1.0)
    for half_km, share in ((111.195, 0.5), (2 * 111.195, 0.5**0.5), (111.195 / 2, 0.25)):
        expected = NEARNESS_MIN + (1 - NEARNESS_MIN) * share
        assert nearness(product, here, half_km) == pytest.approx(expected, abs=1e-4)
    assert nearness(Candidate(1, latitude=0.0, longitude=0.0), here) == 1.0
    assert nearness(product, None) == nearness(Candidate(1), here) == nearness(Candidate(1, latitude=1.0), here) == 1.0


def test_the_prior_shrinks_with_the_profile() -> None:
    candidates = [Candidate(1, cf=1.0), Candidate(2, cf=0.5, trending=3.0)]
    formula = Formula(blend=1.0, trending_prior=0.6, prior_evidence=2.0)
    for n_known, share in ((0, 1.0), (2, 0.5), (6, 0.25)):
        scores = {product.id: product.score for product in rank(candidates, TASTE, formula, 2, n_known=n_known)}
        assert scores == {1: 1.0, 2: pytest.approx(0.5 + 0.6 * share)}


def test_a_product_that_only_returns_has_no_affinity_and_changes_no_score() -> None:
    others = [Candidate(1, cf=0.5, trending=1.0, category_id=1), Candidate(2, cf=0.25, category_id=2)]
    returning = Candidate(3, cf=9.0, trending=9.0, category_id=1, tier=VIEWED_TIER, position=1)
    alone, together = rank(others, TASTE, Formula(), 5), rank([*others, returning], TASTE, Formula(), 5)
    assert together[:2] == alone
    assert (together[2].id, together[2].affinity) == (3, 0.0)


def test_a_filler_scores_by_its_trend_and_at_most_as_the_greatest() -> None:
    candidates = [
        Candidate(1, cf=1.0, trending=2.0),
        Candidate(2, tier=1, position=1, trending=1.0),
        Candidate(3, tier=VIEWED_TIER, position=1, trending=8.0),
    ]
    ranked = {product.id: product.score for product in rank(candidates, TasteProfile(), Formula(), 5)}
    assert (ranked[2], ranked[3]) == (pytest.approx(FILLER_SCORE / 2), pytest.approx(FILLER_SCORE))


def test_factors_change_the_named_products_alone() -> None:
    candidates = [Candidate(1, cf=1.0), Candidate(2, cf=0.5), Candidate(3, tier=1, position=3, trending=1.0)]
    plain = {product.id: product.score for product in rank(candidates, TasteProfile(), Formula(), 5)}
    for factors in ({}, {2: 3.0}, {3: 0.5}, {7: 9.0}):
        ranked = rank(candidates, TasteProfile(), Formula(), 5, factors=factors)
        scores = {product.id: product.score for product in ranked}
        assert scores == {number: pytest.approx(plain[number] * factors.get(number, 1.0)) for number in plain}
    # a filler's position is divided: 3 by 2 is before 2
    fillers = [Candidate(1, tier=1, position=1), Candidate(2, tier=1, position=2), Candidate(3, tier=1, position=3)]
    assert ids(fillers, factors={3: 2.0}) == [1, 3, 2]
    assert ids(fillers, factors={1: 0.4}) == [2, 1, 3]


def test_an_answer_has_the_best_variant_of_a_group() -> None:
    candidates = [
        Candidate(1, cf=1.0, group="a", in_stock=False),
        Candidate(2, cf=0.9, group="a"),
        Candidate(3, cf=0.8, group="b"),
        Candidate(4, cf=0.7),
        Candidate(5, cf=0.6),
    ]
    assert ids(candidates) == [2, 3, 4, 5]
    assert ids(candidates, stock_first=False) == [1, 3, 4, 5]
    assert ids(candidates, k=2) == [2, 3]


def test_what_everybody_buys_is_discounted_for_a_short_profile() -> None:
    staple, special = Candidate(1, cf=1.0, bought=90.0), Candidate(2, cf=0.5, bought=9.0)
    plain, discounted = Formula(blend=1.0), Formula(blend=1.0, popularity_discount=1.0)
    assert ids([staple, special], formula=plain, n_known=1) == [1, 2]
    assert ids([staple, special], formula=discounted, n_known=3) == [2, 1]
    # of thirty products a tenth of it is left
    assert ids([staple, special], formula=discounted, n_known=30) == [1, 2]
    lasting = discounted.with_(lasting_discount=0.5)
    assert ids([staple, special], formula=lasting, n_known=30) == [2, 1]
    # 1 / 1.1^0.5 beside 0.5 / 0.2^0.5
    assert [product.score for product in rank([staple, special], TASTE, lasting, 2, n_known=200)] == pytest.approx(
        [1.0, (1 / 1.1**0.5) / (0.5 / 0.2**0.5)]
    )
    ranked = rank([staple, special], TASTE, discounted, 2, n_known=1)
    # 1 / (0.1 + 1) beside 0.5 / (0.1 + 0.1)
    assert [(product.id, product.score) for product in ranked] == [
        (2, pytest.approx(1.0)),
        (1, pytest.approx(0.2 / 0.5 / 1.1)),
    ]


def test_the_trend_is_discounted_where_nothing_was_ever_bought() -> None:
    formula = Formula(blend=1.0, popularity_discount=1.0)
    trending, other = Candidate(1, cf=1.0, trending=9.0), Candidate(2, cf=0.5)
    assert ids([trending, other], formula=formula, n_known=1) == [2, 1]
    # purchases decide as soon as there are any
    bought = other._replace(bought=1.0)
    assert ids([trending, bought], formula=formula, n_known=1) == [1, 2]


def test_products_of_its_kind_have_a_share_in_the_list_for_a_short_profile() -> None:
    neighbour, alike = Candidate(1, cf=1.0, category_id=9), Candidate(2, category_id=1)
    formula = Formula(blend=0.8, short_profile_fit=0.7)
    assert ids([neighbour, alike], formula=formula.with_(short_profile_fit=0.0), n_known=1) == [1, 2]
    assert ids([neighbour, alike], formula=formula, n_known=3) == [2, 1]
    assert ids([neighbour, alike], formula=formula, n_known=5) == [1, 2]
    # without any of its kind nothing is taken from the neighbours
    (only,) = rank([neighbour], TASTE, formula, 1, n_known=1)
    assert only.score == pytest.approx(0.8)


def test_a_product_that_returns_has_no_part_in_the_discount() -> None:
    candidates = [Candidate(1, cf=1.0, bought=1.0), Candidate(2, cf=0.9, bought=0.5)]
    returning = Candidate(3, bought=1_000.0, tier=VIEWED_TIER, position=1)
    formula = Formula(blend=1.0, popularity_discount=0.3)
    alone = rank(candidates, TASTE, formula, 3, n_known=1)
    *others, last = rank([*candidates, returning], TASTE, formula, 3, n_known=1)
    assert others == alone
    assert last.id == returning.id
