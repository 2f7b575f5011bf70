"""The serving formula on candidates small enough to work out by hand."""

import pytest

from shared.domain.ranking import Candidate, Taste, affinity, distance_km, rank

TASTE = Taste({"category": {"1": 3.0, "2": 1.0}, "tag": {"heart": 2.0}})


def ids(candidates: list[Candidate], taste: Taste = TASTE, k: int = 10, **options: object) -> list[int]:
    return [one.id for one in rank(candidates, taste, k, **options)]  # type: ignore[arg-type]  # options by name


def test_the_collaborative_score_orders_where_there_is_no_taste() -> None:
    assert ids([Candidate(1, cf=0.2), Candidate(2, cf=0.9), Candidate(3, cf=0.5)], Taste()) == [2, 3, 1]


def test_blend_one_ignores_taste_and_blend_zero_ignores_neighbours() -> None:
    neighbour, liked = Candidate(1, cf=1.0, category_id=9), Candidate(2, cf=0.1, category_id=1)
    assert ids([liked, neighbour], blend=1.0) == [1, 2]
    assert ids([neighbour, liked], blend=0.0) == [2, 1]


def test_affinity_is_the_share_of_the_taste_that_a_product_matches() -> None:
    assert affinity(Candidate(1, category_id=1), TASTE) == 0.75
    assert affinity(Candidate(1, category_id=2, tags=["heart"]), TASTE) == 0.75
    assert affinity(Candidate(1, category_id=3), TASTE) == 0


def test_a_price_far_from_what_was_paid_halves_the_affinity() -> None:
    taste = Taste({"category": {"1": 1.0}}, price_band=(0.0, 0.5))
    near, far = Candidate(1, category_id=1, price=1.0), Candidate(2, category_id=1, price=10_000.0)
    assert affinity(near, taste) == 1.0
    assert affinity(far, taste) == pytest.approx(0.5)


def test_fillers_come_last_in_order_of_their_tier() -> None:
    found = ids(
        [Candidate(1, tier=2), Candidate(2, tier=1, place=2), Candidate(3, tier=1, place=1), Candidate(4, cf=0.01)]
    )
    assert found == [4, 3, 2, 1]


def test_what_is_sold_out_comes_after_all_that_is_not() -> None:
    candidates = [Candidate(1, cf=1.0, in_stock=False), Candidate(2, tier=3)]
    assert ids(candidates) == [2, 1]
    assert ids(candidates, stock_first=False) == [1, 2]


def test_ties_are_broken_the_same_way_every_time() -> None:
    candidates = [Candidate(3, cf=1.0), Candidate(1, cf=1.0), Candidate(2, cf=1.0, trending=1.0)]
    assert ids(candidates, Taste()) == ids(candidates[::-1], Taste()) == [2, 1, 3]


def test_no_candidates_is_an_empty_answer() -> None:
    assert rank([], TASTE, 10) == []


def test_nearer_products_win_where_both_have_a_place() -> None:
    london, paris = (
        Candidate(1, cf=1.0, latitude=51.5, longitude=-0.13),
        Candidate(2, cf=1.0, latitude=48.86, longitude=2.35),
    )
    assert ids([london, paris], Taste(), place=(48.85, 2.3)) == [2, 1]
    assert distance_km(51.5, -0.13, 48.86, 2.35) == pytest.approx(343, abs=3)


def test_k_is_the_most_that_is_returned() -> None:
    assert ids([Candidate(n, cf=n) for n in range(1, 50)], Taste(), k=3) == [49, 48, 47]
