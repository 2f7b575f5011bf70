"""The job that counts days."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events, add_plain_products, today_in_utc


@pytest.fixture
def today() -> date:
    return today_in_utc()


def hours_since(day: date, hour: int = 12) -> float:
    """Return the hours since this time of the day; negative in the future."""
    moment = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    return (datetime.now(UTC) - moment) / timedelta(hours=1)


def counted() -> dict[tuple[date, str], tuple[int, int, int]]:
    rows: list[Any] = postgres.read("SELECT * FROM daily_event_stats")
    return {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}


def test_events_users_and_products_are_counted_per_day_and_type(env: object, serve: Serve, today: date) -> None:
    ids = add_plain_products(3)
    yesterday = today - timedelta(days=1)
    add_events(
        [
            StoredEvent("a", ids[0], "view", hours_since(yesterday, 0)),
            StoredEvent("a", ids[1], "view", hours_since(yesterday, 23)),
            StoredEvent("b", ids[0], "view", hours_since(yesterday)),
            StoredEvent("b", ids[0], "purchase", hours_since(yesterday)),
            StoredEvent("a", None, "search", hours_since(today, 0)),
            StoredEvent("a", ids[0], "view", hours_since(today, 0)),
        ]
    )
    answer = serve("daily_stats").post("/", json={}).json()
    assert (answer["first"], answer["last"], answer["events"]) == (yesterday.isoformat(), today.isoformat(), 6)
    assert counted() == {
        (yesterday, "view"): (3, 2, 2),
        (yesterday, "purchase"): (1, 1, 1),
        (today, "search"): (1, 1, 0),
        (today, "view"): (1, 1, 1),
    }


def test_a_second_run_changes_nothing(env: object, serve: Serve, today: date) -> None:
    (product,) = add_plain_products(1)
    add_events([StoredEvent("a", product, "view", hours_since(today, 0))])
    job = serve("daily_stats")
    job.post("/", json={})
    first = counted()
    assert first
    job.post("/", json={})
    assert counted() == first


def test_a_day_never_counted_is_counted_by_itself_and_a_counted_one_waits_for_a_backfill(
    env: object, serve: Serve, today: date
) -> None:
    (product,) = add_plain_products(1)
    old = today - timedelta(days=40)
    add_events([StoredEvent("a", product, "view", hours_since(old))])
    job = serve("daily_stats")
    job.post("/", json={})
    assert counted()[old, "view"] == (1, 1, 1)
    add_events([StoredEvent("b", product, "view", hours_since(old))])
    job.post("/", json={})
    assert counted()[old, "view"] == (1, 1, 1)
    assert job.post("/", json={"days": 41}).json()["days"] == 41
    assert counted()[old, "view"] == (2, 2, 1)


def test_a_day_whose_events_were_dropped_keeps_its_counts(env: object, serve: Serve, today: date) -> None:
    (product,) = add_plain_products(1)
    yesterday = today - timedelta(days=1)
    add_events([StoredEvent("a", product, "view", hours_since(yesterday))])
    job = serve("daily_stats")
    job.post("/", json={})
    postgres.write("DELETE FROM events")
    job.post("/", json={})
    assert counted()[yesterday, "view"] == (1, 1, 1)


@pytest.mark.parametrize(
    "body", [{"days": 0}, {"days": 4001}, {"days": "2"}, {"days": 1.5}, {"days": True}, {"day": 1}, []]
)
def test_invalid_days_are_refused(env: object, serve: Serve, body: object) -> None:
    assert serve("daily_stats").post("/", json=body).status_code == 422
    assert postgres.read("SELECT count(*) FROM job_runs")[0][0] == 0
