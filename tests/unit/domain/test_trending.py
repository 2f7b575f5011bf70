"""The trending score."""

import math
from datetime import UTC, datetime, timedelta

from shared.domain.events import EventType
from shared.domain.trending import WINDOWS, score

WEEK, MONTH = WINDOWS
NOW = datetime(2026, 3, 10, 12, 40, tzinfo=UTC)


def test_an_event_of_this_hour_counts_its_full_weight() -> None:
    assert score(WEEK, [(EventType.PURCHASE, NOW - timedelta(minutes=39))], NOW) == 5.0


def test_age_is_counted_in_whole_hours() -> None:
    one_hour_ago = [(EventType.VIEW, NOW - timedelta(minutes=41))]
    assert score(WEEK, one_hour_ago, NOW) == math.exp(-0.3 / 24)
    assert score(MONTH, one_hour_ago, NOW) == math.exp(-0.1 / 24)


def test_a_future_event_counts_no_more_than_one_of_this_hour() -> None:
    assert score(WEEK, [(EventType.VIEW, NOW + timedelta(hours=2))], NOW) == 1.0


def test_events_older_than_the_window_do_not_count() -> None:
    old = [(EventType.PURCHASE, NOW - timedelta(days=7))]
    assert score(WEEK, old, NOW) == 0
    assert score(MONTH, old, NOW) == 5 * math.exp(-0.7)
