"""A predicted cost is the sum of what its terms say of the input, on both sides of each threshold.

The figures are counted by hand. Tuning spends them in place of time, so a change of one chooses other models.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jobs.models import costs, pairs
from jobs.models.costs import (
    ALS_ENTRY_S,
    ALS_ROW_S,
    DISTINCT_S,
    ENTRY_S,
    EVENT_S,
    FIT_S,
    GRAM_S,
    INVERSE_S,
    ITEM_S,
    NUMPY_ALS_ENTRY_S,
    NUMPY_TRANSITION_S,
    PAIR_S,
    POPULAR_ITEM_S,
    RANKED_PAIR_S,
    SCORE_S,
    SPARSE_S,
    TRANSITION_S,
    InputShape,
)

# three rows of 3, 1 and 2 of 100 items: 6 entries, 9 + 1 + 4 products
MATRIX = InputShape(100, np.array([3, 1, 2]))
# three events of one row and two of another
EVENTS = InputShape(100, np.array([3, 2]), rows=np.array([0, 0, 0, 1, 1]), steps=np.array([0, 1, 2, 0, 1]))


@pytest.fixture(autouse=True)
def with_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is compiled; whether Numba is there must not change a prediction of these tests."""
    monkeypatch.setattr(pairs, "numba_installed", lambda: True)


def same(seconds: float) -> Any:
    return pytest.approx(seconds, rel=1e-12)


def test_a_shape_counts_its_entries_pairs_and_rows() -> None:
    assert (MATRIX.n_rows, MATRIX.n_entries, MATRIX.n_pairs, MATRIX.n_distinct) == (3, 6, 14, 14)
    # never more pairs of items than there are
    assert replace(MATRIX, n_items=3).n_distinct == 9
    assert InputShape(5, np.empty(0, np.int64)).n_pairs == 0


@pytest.mark.parametrize(
    ("window", "forwards", "both"),
    [
        # each event with itself
        (0, 5, 5),
        (1, 2 + 2 + 1 + 2 + 1, 2 + 3 + 2 + 2 + 2),
        (2, 3 + 2 + 1 + 2 + 1, 3 + 3 + 3 + 2 + 2),
        # another row is never near, however wide the window
        (50, 3 + 2 + 1 + 2 + 1, 3 + 3 + 3 + 2 + 2),
    ],
)
def test_pairs_of_events_are_of_one_row_and_within_the_window(window: int, forwards: int, both: int) -> None:
    assert EVENTS.pairs_within(window, both_ways=False) == forwards
    assert EVENTS.pairs_within(window, both_ways=True) == both


def test_events_of_one_step_are_near_each_other() -> None:
    basket = InputShape(9, np.array([2, 1]), rows=np.array([0, 0, 1]), steps=np.array([4, 4, 4]))
    assert basket.pairs_within(0, both_ways=False) == 4 + 1
    assert basket.pairs_within(3, both_ways=True) == 4 + 1


@pytest.mark.parametrize("threshold", [14, 15])
def test_products_are_cheaper_where_they_are_compiled(threshold: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "MIN_COMPILED_WORK", threshold)
    expected = FIT_S + 6 * ENTRY_S + 100 * ITEM_S
    expected += 14 * PAIR_S + 14 * DISTINCT_S if threshold == 14 else 14 * RANKED_PAIR_S
    assert costs.predict_pairs(MATRIX, {}) == same(expected)
    monkeypatch.setattr(pairs, "numba_installed", lambda: False)
    assert costs.predict_pairs(MATRIX, {}) == same(FIT_S + 6 * ENTRY_S + 100 * ITEM_S + 14 * RANKED_PAIR_S)


def test_popularity_ranks_all_items_once_for_each() -> None:
    assert costs.predict_popularity(MATRIX, {}) == same(FIT_S + 6 * ENTRY_S + 100 * POPULAR_ITEM_S)


@pytest.mark.parametrize("threshold", [11, 12])
def test_transitions_cost_what_their_pairs_cost(threshold: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "MIN_COMPILED_PAIRS", threshold)
    expected = FIT_S + 5 * EVENT_S + 100 * ITEM_S
    expected += 11 * (TRANSITION_S if threshold == 11 else NUMPY_TRANSITION_S)
    parameters = {"window": 1, "backward": 0.01}
    assert costs.predict_transitions(EVENTS, parameters) == same(expected)
    monkeypatch.setattr(pairs, "numba_installed", lambda: False)
    assert costs.predict_transitions(EVENTS, parameters) == same(
        FIT_S + 5 * EVENT_S + 100 * ITEM_S + 11 * NUMPY_TRANSITION_S
    )


def test_the_defaults_of_transitions_are_ten_steps_both_ways() -> None:
    row = InputShape(9, np.array([13]), rows=np.zeros(13, np.int64), steps=np.arange(13))
    assert costs.predict_transitions(row, {}) == costs.predict_transitions(row, {"window": 10, "backward": 0.3})
    others = ({"window": 9}, {"window": 11}, {"backward": 0})
    assert costs.predict_transitions(row, {}) not in [costs.predict_transitions(row, other) for other in others]
    one_way = sum(min(10, 12 - step) + 1 for step in range(13))
    assert costs.predict_transitions(row, {"backward": 0}) == same(
        FIT_S + 13 * EVENT_S + 9 * ITEM_S + one_way * NUMPY_TRANSITION_S
    )


def test_ease_solves_on_the_smaller_side() -> None:
    shared = FIT_S + 6 * ENTRY_S + 14 * GRAM_S
    # 3 rows are half of 6 items: on the items' side
    assert costs.predict_ease(replace(MATRIX, n_items=6), {}) == same(shared + 216 * INVERSE_S + 36 * SCORE_S)
    assert costs.predict_ease(replace(MATRIX, n_items=7), {}) == same(shared + 27 * INVERSE_S + 6 * 3 * SPARSE_S)


def test_ease_of_the_head_has_no_more_items_than_the_head_or_the_catalog() -> None:
    wide = InputShape(7_000, np.full(3_500, 2))
    products = costs.predict_pairs(wide, {})
    for parameters, head in (({}, 6_000), ({"head": 50}, 50), ({"head": 9_000}, 7_000)):
        expected = products + costs.predict_ease(replace(wide, n_items=head), {})
        assert costs.predict_ease_head(wide, parameters) == same(expected)
    assert costs.predict_ease_head(wide, {}) != costs.predict_ease_head(wide, {"head": 6_001})


@pytest.mark.parametrize("threshold", [24, 25])
def test_als_costs_entries_and_rows_of_both_sides_in_each_iteration(
    threshold: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "MIN_COMPILED_ALS", threshold)
    once = FIT_S + 6 * ENTRY_S + 14 * SCORE_S
    rows = ALS_ROW_S * (3 + 100) * 16
    entries = 6 * 4 * (ALS_ENTRY_S if threshold == 24 else NUMPY_ALS_ENTRY_S)
    parameters = {"factors": 4, "iterations": 3}
    assert costs.predict_als(MATRIX, parameters) == same(once + 3 * (entries + rows))
    monkeypatch.setattr(pairs, "numba_installed", lambda: False)
    assert costs.predict_als(MATRIX, parameters) == same(once + 3 * (6 * 4 * NUMPY_ALS_ENTRY_S + rows))


def test_the_defaults_of_als_are_64_factors_and_ten_iterations() -> None:
    assert costs.predict_als(MATRIX, {}) == costs.predict_als(MATRIX, {"factors": 64, "iterations": 10})
