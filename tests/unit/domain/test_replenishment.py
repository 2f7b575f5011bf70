"""When something is bought again."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.content import mixed
from shared.domain.replenishment import due_at, score


def test_the_usual_interval_is_when_it_is_most_likely() -> None:
    scores = [score(0.5, 1, days, 30) for days in (1, 10, 30, 90, 900)]
    assert scores[2] == 0.5
    assert scores[0] < scores[1] < scores[2] > scores[3] > scores[4]
    assert scores[1] == pytest.approx(scores[3])


def test_who_bought_it_more_often_buys_it_more_likely_again() -> None:
    assert score(0.5, 2, 30, 30) == 0.75
    assert score(0.0, 9, 30, 30) == 0
    assert score(1.0, 1, 30, 30) < 1


def test_it_is_due_when_the_interval_has_passed() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert due_at(now, 1.5) == now + timedelta(hours=36)


def test_content_counts_the_less_the_more_is_known_of_a_product() -> None:
    assert mixed(0, 0.8, 0) == 0.8
    assert mixed(0, 0.8, 5) == 0.4
    assert mixed(0.5, 0.8, 5) == 0.5
    assert mixed(0, 0.19, 0) == 0
