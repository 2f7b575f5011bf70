"""The job that counts days."""

from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any

import pytest

from benchmarks.plans import Scan, scans_of
from shared import clients
from shared.clients import postgres
from shared.clients.postgres import execute, transaction
from shared.storage.operations.daily_stats import (
    COMMIT_MINUTES,
    DAYS_TO_COUNT,
    MAX_AGE_DAYS,
    REFRESH,
    REFRESH_VISITORS,
    REFUND_DAYS,
    days_to_count,
    refresh,
)
from shared.storage.operations.retention import drop_expired_partitions
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events, add_plain_products, today_in_utc

EVENT_MONTHS = 13


@pytest.fixture
def today() -> date:
    return today_in_utc()


def hours_since(day: date, hour: int = 12) -> float:
    """Return the hours since this time of the day; negative in the future."""
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour)
    return (datetime.now(UTC) - moment) / timedelta(hours=1)


def counted() -> dict[tuple[date, str], tuple[int, int, int]]:
    rows: list[Any] = postgres.read("SELECT * FROM daily_event_stats")
    return {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}


def visitors() -> dict[date, int]:
    return {row[0]: row[1] for row in postgres.read("SELECT date, visitors FROM daily_visitor_stats")}


def receive_before(age: timedelta) -> None:
    """Make all stored events ones that were received so long ago."""
    postgres.write("UPDATE events SET received_at = now() - cast(:age AS interval)", age=age)


def add_user_events(product: int, days: int, per_day: int) -> None:
    """Store views of as many days, received when they occurred, of so many users that their index does not help."""
    postgres.write("INSERT INTO users (external_id) SELECT 'u' || n FROM generate_series(0, 999) AS n")
    postgres.write("SELECT ensure_event_partitions((now() - interval '3 months')::date, now()::date)")
    postgres.write(
        """INSERT INTO events (event_id, user_id, product_id, event_type, occurred_at, received_at)
           SELECT gen_random_uuid(), (SELECT min(id) FROM users) + mod(n * 7919, 1000), :product, 'view', at, at
           FROM generate_series(1, :total) AS n,
           LATERAL (SELECT now() - make_interval(secs => 86400 * (1 - n::float8 / :total) * :days) AS at) AS time
           ORDER BY n""",
        product=product,
        total=days * per_day,
        days=days,
    )


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


@pytest.mark.parametrize(
    ("zone", "begins"),
    [
        ("Atlantic/Azores", datetime(2025, 10, 26, 0, tzinfo=UTC)),
        ("America/Havana", datetime(2025, 11, 2, 4, tzinfo=UTC)),
    ],
)
def test_days_around_a_midnight_that_comes_twice_are_counted_apart(env: object, zone: str, begins: datetime) -> None:
    (product,) = add_plain_products(1)
    postgres.write("UPDATE shop SET time_zone = :zone", zone=zone)
    # the day has 25 hours, and its first hour is there twice
    minutes = {-1: [-1], 0: [0, 59, 60, 119, 25 * 60 - 1], 1: [25 * 60]}
    now = datetime.now(UTC)
    add_events(
        StoredEvent(f"u{minute}", product, "view", (now - begins - timedelta(minutes=minute)) / timedelta(hours=1))
        for minute in chain.from_iterable(minutes.values())
    )
    expected: dict[date, int] = {}
    for offset in (0, -1, 1):
        day = begins.date() + timedelta(days=offset)
        with transaction() as connection:
            assert refresh(connection, [day]) == len(minutes[offset])
        expected[day] = len(minutes[offset])
        assert {key: views for (key, _), (views, _, _) in counted().items()} == expected
        assert visitors() == expected


def test_a_second_run_changes_nothing(env: object, serve: Serve, today: date) -> None:
    (product,) = add_plain_products(1)
    add_events([StoredEvent("a", product, "view", hours_since(today, 0))])
    job = serve("daily_stats")
    job.post("/", json={})
    first = counted()
    assert first
    job.post("/", json={})
    assert counted() == first


def test_a_day_never_counted_is_counted_by_itself(env: object, serve: Serve, today: date) -> None:
    (product,) = add_plain_products(1)
    old = today - timedelta(days=MAX_AGE_DAYS + 10)
    add_events([StoredEvent("a", product, "view", hours_since(old))])
    job = serve("daily_stats")
    assert job.post("/", json={}).json()["days"] == 3
    assert counted()[old, "view"] == (1, 1, 1)


def test_late_events_of_a_counted_day_are_counted_by_the_next_run(env: object, serve: Serve, today: date) -> None:
    (product,) = add_plain_products(1)
    late, unchanged = today - timedelta(days=40), today - timedelta(days=20)
    add_events([StoredEvent("a", product, "view", hours_since(day)) for day in (late, unchanged)])
    receive_before(timedelta(days=1))
    job = serve("daily_stats")
    job.post("/", json={})
    # what only a count of that day would show
    postgres.write("UPDATE daily_event_stats SET event_count = 7 WHERE date = :day", day=unchanged)
    add_events([StoredEvent("b", product, "view", hours_since(late))])
    answer = job.post("/", json={}).json()
    assert (answer["first"], answer["days"]) == (late.isoformat(), 3)
    assert counted() == {(late, "view"): (2, 2, 1), (unchanged, "view"): (7, 1, 1)}
    assert visitors()[late] == 2


@pytest.mark.parametrize(("age_days", "views"), [(MAX_AGE_DAYS - 1, 2), (MAX_AGE_DAYS, 1)])
def test_days_older_than_retention_may_keep_stay_as_they_were(
    env: object, serve: Serve, today: date, age_days: int, views: int
) -> None:
    (product,) = add_plain_products(1)
    old = today - timedelta(days=age_days)
    add_events([StoredEvent("a", product, "view", hours_since(old))])
    receive_before(timedelta(days=1))
    job = serve("daily_stats")
    job.post("/", json={})
    add_events([StoredEvent("b", product, "view", hours_since(old))])
    job.post("/", json={})
    assert counted()[old, "view"] == (views, views, 1)
    assert job.post("/", json={"days": MAX_AGE_DAYS + 1}).json()["days"] == MAX_AGE_DAYS + 1
    assert counted()[old, "view"] == (2, 2, 1)


@pytest.mark.parametrize(
    ("zone", "hour", "whole"),
    # the month of UTC begins at 14:00 on Kiritimati, so that of the month's first day there only ten hours are kept
    [("UTC", 12, timedelta(days=0)), ("Pacific/Kiritimati", -2, timedelta(days=1))],
)
def test_late_events_of_a_day_that_retention_emptied_leave_its_count(
    env: object,
    serve: Serve,
    today: date,
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    hour: int,
    whole: timedelta,
) -> None:
    monkeypatch.setenv("EVENT_RETENTION_MONTHS", "1")
    clients.reset()
    postgres.write("UPDATE shop SET time_zone = :zone", zone=zone)
    postgres.write("SELECT ensure_event_partitions((now() - interval '4 months')::date, now()::date)")
    (product,) = add_plain_products(1)
    kept = (today.replace(day=1) - timedelta(days=1)).replace(day=1) + whole
    emptied = kept - timedelta(days=1)
    older = today - timedelta(days=75)
    for day in (older, emptied, kept):
        add_events([StoredEvent(user, product, "view", hours_since(day, hour)) for user in "abcde"])
    receive_before(timedelta(days=1))
    job = serve("daily_stats")
    job.post("/", json={})
    assert counted() == {(day, "view"): (5, 5, 1) for day in (older, emptied, kept)}
    assert drop_expired_partitions(1)
    for day in (older, emptied, kept):
        add_events([StoredEvent("f", product, "view", hours_since(day, hour))])
    assert job.post("/", json={}).json()["days"] == 3
    assert counted() == {(older, "view"): (5, 5, 1), (emptied, "view"): (5, 5, 1), (kept, "view"): (6, 6, 1)}


@pytest.mark.parametrize(("minutes", "days"), [(COMMIT_MINUTES - 1, 3), (COMMIT_MINUTES + 1, 2)])
def test_a_failed_run_is_made_up_for_and_a_succeeded_one_is_not_repeated(
    env: object, serve: Serve, today: date, minutes: int, days: int
) -> None:
    (product,) = add_plain_products(1)
    late = today - timedelta(days=40)
    add_events([StoredEvent("a", product, "view", hours_since(late))])
    job = serve("daily_stats")
    job.post("/", json={})
    receive_before(timedelta(minutes=minutes))
    assert job.post("/", json={}).json()["days"] == days
    receive_before(timedelta(hours=30))
    postgres.write("UPDATE job_runs SET outcome = 'failed'")
    postgres.write(
        """INSERT INTO job_runs (job, started_at, outcome)
           VALUES ('daily_stats', now() - interval '30 hours', 'succeeded'), ('trending', now(), 'succeeded')"""
    )
    assert job.post("/", json={}).json()["days"] == 3


def test_without_a_known_run_all_young_days_are_counted_once(env: object, serve: Serve, today: date) -> None:
    (product,) = add_plain_products(1)
    job = serve("daily_stats")
    late, older = today - timedelta(days=40), today - timedelta(days=MAX_AGE_DAYS)
    add_events([StoredEvent("a", product, "view", hours_since(day)) for day in (late, older)])
    job.post("/", json={})
    add_events([StoredEvent("b", product, "view", hours_since(day)) for day in (late, older)])
    receive_before(timedelta(days=2))
    postgres.write("UPDATE job_runs SET outcome = 'failed'")
    postgres.write("INSERT INTO job_runs (job, outcome) VALUES ('trending', 'succeeded')")
    assert job.post("/", json={}).json()["days"] == 3
    assert counted() == {(late, "view"): (2, 2, 1), (older, "view"): (1, 1, 1)}
    assert job.post("/", json={}).json()["days"] == 2


def scans_of_events(sql: str, parameters: dict[str, Any]) -> list[Scan]:
    """Run a statement and return how it read the events."""
    postgres.write("VACUUM (ANALYZE) events")
    with transaction() as connection:
        ((plan,),) = execute(connection, f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters)
    return [scan for scan in scans_of(plan[0]["Plan"]) if scan.table.startswith("events")]


def is_by_time(scans: list[Scan], month: date) -> bool:
    """Return whether the events of a month were found by the index on times; a scan of few rows may be of any kind."""
    return {scan.kind for scan in scans if scan.table == f"events_{month:%Y_%m}"} == {"Bitmap Heap Scan"}


@pytest.mark.parametrize("sql", [REFRESH, REFRESH_VISITORS])
def test_only_the_blocks_of_the_days_are_read(env: object, today: date, sql: str) -> None:
    (product,) = add_plain_products(1)
    add_user_events(product, days=60, per_day=1000)
    month = today.replace(day=1) - timedelta(days=1)
    days = [month.replace(day=8), month.replace(day=22)]
    scans = scans_of_events(sql, {"firsts": days, "lasts": days} | ({"days": days} if sql == REFRESH_VISITORS else {}))
    # another index would be read whole, since it does not begin with the time
    assert is_by_time(scans, month)
    # two days of sixty, and the rest of their ranges of blocks
    assert 2000 <= sum(scan.rows for scan in scans) < 20_000


def test_visitors_and_their_guests_are_read_as_sets(env: object, today: date) -> None:
    (product,) = add_plain_products(1)
    add_user_events(product, days=60, per_day=1000)
    postgres.write("INSERT INTO users (external_id) SELECT 'idle' || n FROM generate_series(1, 20000) AS n")
    postgres.write(
        """INSERT INTO users (external_id, merged_into, created_at)
           SELECT 'guest' || id, id, now() - interval '90 days' FROM users WHERE external_id LIKE 'u_'"""
    )
    postgres.write("VACUUM (ANALYZE) users, events")
    days = [today - timedelta(days=2), today - timedelta(days=1)]
    with transaction() as connection:
        parameters = {"firsts": days[:1], "lasts": days[1:], "days": days}
        ((plan,),) = execute(connection, f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {REFRESH_VISITORS}", parameters)
    # a look-up of the guests of each visitor, or of each user, takes 2,000 or 21,000 times two or three pages
    assert plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"] < 3000
    rows = postgres.read("SELECT date, visitors, new_visitors FROM daily_visitor_stats ORDER BY 1")
    assert [tuple(row[:2]) for row in rows] == [(day, 1000) for day in days]


def test_late_events_are_found_without_reading_the_others(env: object, today: date) -> None:
    (product,) = add_plain_products(1)
    add_user_events(product, days=60, per_day=1000)
    postgres.write(
        """INSERT INTO job_runs (job, started_at, outcome)
           VALUES ('daily_stats', now() - interval '1 hour', 'succeeded')"""
    )
    late = today - timedelta(days=40)
    add_events([StoredEvent("a", product, "view", hours_since(late))])
    postgres.write("DELETE FROM event_counts_hourly")
    with transaction() as connection:
        assert days_to_count(connection, 2, EVENT_MONTHS) == [late, today - timedelta(days=1), today]
    parameters = {
        "days": 2,
        "refund_days": REFUND_DAYS,
        "max_age": MAX_AGE_DAYS,
        "commit_minutes": COMMIT_MINUTES,
        "event_months": EVENT_MONTHS,
    }
    scans = scans_of_events(DAYS_TO_COUNT, parameters)
    assert is_by_time(scans, today.replace(day=1) - timedelta(days=1))
    # the ranges of blocks with the late event and with those of yesterday
    assert 1 <= sum(scan.rows for scan in scans) < 20_000


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
