"""Decayed sums: the order of events and how they are split does not change the result."""

import math
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.preferences import HALF_LIFE, Decayed, decay, merge, price_band

START = datetime(2026, 1, 1, tzinfo=UTC)
sums = st.builds(Decayed, st.floats(0, 1000), st.integers(0, 2000).map(lambda hours: START + timedelta(hours=hours)))


def test_a_score_halves_after_each_half_life() -> None:
    assert decay(HALF_LIFE) == 0.5
    assert decay(timedelta(0)) == 1.0
    merged = merge(Decayed(4.0, START), Decayed(1.0, START + HALF_LIFE))
    assert merged == Decayed(3.0, START + HALF_LIFE)


def test_late_events_give_the_same_sum_as_events_in_time() -> None:
    events = [Decayed(5.0, START), Decayed(1.0, START + timedelta(days=3)), Decayed(3.0, START + timedelta(days=40))]
    results = set()
    for order in permutations(events):
        total = order[0]
        for event in order[1:]:
            total = merge(total, event)
        results.add((round(total.score, 9), total.as_of))
    assert len(results) == 1


@given(sums, sums)
def test_merging_is_commutative(first: Decayed, second: Decayed) -> None:
    first_then_second, second_then_first = merge(first, second), merge(second, first)
    assert first_then_second.as_of == second_then_first.as_of
    assert first_then_second.score == pytest.approx(second_then_first.score)


def test_an_extreme_age_gives_a_tiny_share_and_no_error() -> None:
    assert 0 <= decay(timedelta(days=200_000)) < 1e-50


def test_a_price_band_is_mean_and_standard_deviation_of_log_price() -> None:
    logs = [math.log(2), math.log(8)]
    mean, deviation = price_band(2.0, sum(logs), sum(log**2 for log in logs)) or (0, 0)
    assert mean == pytest.approx(math.log(4))
    assert deviation == pytest.approx(math.log(2))
    assert price_band(0.0, 0.0, 0.0) is None
