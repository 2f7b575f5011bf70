"""Relevance against variety of categories, on lists short enough to calculate by hand."""

import pytest

from shared.domain.diversity import diversify

RANKED = [("a1", 1.0, "a"), ("a2", 0.9, "a"), ("a3", 0.8, "a"), ("b1", 0.5, "b"), ("c1", 0.1, "c")]


def test_no_diversity_keeps_the_order() -> None:
    assert diversify(RANKED, 4, 0) == ["a1", "a2", "a3", "b1"]


def test_full_diversity_takes_a_product_of_each_category_in_turn() -> None:
    assert diversify(RANKED, 5, 1) == ["a1", "b1", "c1", "a2", "a3"]


def test_in_between_each_further_product_of_a_category_loses_score() -> None:
    # the second of "a": 0.7 · 0.9 − 0.3/2 = 0.48, "b1": 0.7 · 0.5 = 0.35; the third of "a": 0.7 · 0.8 − 0.2 = 0.36
    assert diversify(RANKED, 5, 0.3) == ["a1", "a2", "a3", "b1", "c1"]
    # at 0.4: 0.6 · 0.9 − 0.2 = 0.34 against 0.3; then 0.6 · 0.8 − 0.4 · 2/3 = 0.213 against 0.3
    assert diversify(RANKED, 5, 0.4) == ["a1", "a2", "b1", "a3", "c1"]


@pytest.mark.parametrize(("taken", "limit"), [(1, 1 / 2), (2, 2 / 3), (3, 3 / 4), (4, 4 / 5)])
def test_the_loss_is_the_share_n_of_n_plus_one(taken: int, limit: float) -> None:
    # at 0.5, another category comes next as soon as its relevance is above 1 − n / (n + 1)
    for relevance, expected in ((1 - limit + 0.01, "b"), (1 - limit - 0.01, f"a{taken}")):
        ranked = [(f"a{number}", 1.0, "a") for number in range(6)] + [("b", relevance, "b")]
        assert diversify(ranked, 7, 0.5)[taken] == expected


def test_products_without_a_category_are_like_no_other() -> None:
    assert diversify([("x", 1.0, None), ("y", 0.9, None), ("a", 0.5, "a")], 3, 0.9) == ["x", "y", "a"]


def test_an_order_that_is_not_based_on_scores_is_kept() -> None:
    # sold out, with a high score
    assert diversify([("a", 0.2, None), ("b", 0.1, None), ("sold out", 1.0, None)], 3, 0.5) == ["a", "b", "sold out"]


def test_fewer_items_than_k_are_all_returned() -> None:
    assert diversify([], 5, 0.5) == []
    assert diversify([("a", 0.0, "a"), ("b", 0.0, "a")], 5, 0.5) == ["a", "b"]
