"""When a product is bought again."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.replenishment import due_at, score


def test_the_score_is_greatest_at_the_usual_interval() -> None:
    scores = [score(0.5, 1, days, 30) for days in (1, 10, 30, 90, 900)]
    assert scores[2] == 0.5
    assert scores[0] < scores[1] < scores[2] > scores[3] > scores[4]
    assert scores[1] == pytest.approx(scores[3])


def test_the_score_grows_with_the_number_of_purchases() -> None:
    assert score(0.5, 2, 30, 30) == 0.75
    assert score(0.0, 9, 30, 30) == 0
    assert score(1.0, 1, 30, 30) < 1


def test_a_product_is_due_when_the_interval_has_passed() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert due_at(now, 1.5) == now + timedelta(hours=36)
