"""Of which days answers are counted again: those that were asked for, and those that a refund changed."""

from datetime import date, timedelta

import pytest

from shared.clients import postgres
from shared.storage.recommending.attribution import LOGGED_DAYS, count_days
from tests.integration.conftest import Serve
from tests.integration.shop import today_in_utc


def log_answer(day: date) -> None:
    postgres.write(
        """INSERT INTO recommendation_log (id, user_id, kind, strategy, product_ids, at)
           VALUES (gen_random_uuid(), 'ann', 'recommendations', 'trending', '{1}',
                   cast(:day AS date) + interval '1 second')""",
        day=day,
    )


@pytest.fixture(autouse=True)
def today(env: dict[str, str]) -> date:
    """Today, with an answer of each day on which the counts may begin, and of the day before."""
    today = today_in_utc()
    for days_ago in (0, 4, 5, 9, 10, LOGGED_DAYS - 1, LOGGED_DAYS):
        log_answer(today - timedelta(days=days_ago))
    return today


@pytest.mark.parametrize(
    ("days", "given_back", "answers"),
    [
        # days with today
        (5, None, 2),
        (6, None, 3),
        # the answer of a purchase may be of the day before, and days of the shop are not those of UTC
        (5, 7, 4),
        (5, 8, 5),
        # as many as were asked for if those are more
        (10, 0, 4),
        # older answers are being deleted
        (LOGGED_DAYS + 9, None, 6),
        (5, LOGGED_DAYS + 9, 6),
    ],
)
def test_days_are_counted_as_asked_and_as_far_back_as_a_refund_needs(
    today: date, days: int, given_back: int | None, answers: int
) -> None:
    since = None if given_back is None else today - timedelta(days=given_back)
    with postgres.transaction() as connection:
        assert count_days(connection, days, since=since) == answers
    assert postgres.read("SELECT coalesce(sum(answers), 0)::int FROM recommendation_stats")[0][0] == answers


@pytest.mark.parametrize(("days", "answers"), [(1, 2), (3, 2), (4, 3), (5, 4)])
def test_the_job_counts_three_days_at_least(today: date, serve: Serve, days: int, answers: int) -> None:
    """A purchase of yesterday may be of an answer of the day before."""
    for days_ago in (2, 3):
        log_answer(today - timedelta(days=days_ago))
    assert serve("daily_stats").post("/", json={"days": days}).json()["answers"] == answers
