"""The scheduler, with a clock that the test moves."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from local.scheduler import LONGEST_WAIT, Scheduler
from shared.manifest import Entry

START = datetime(2026, 3, 1, 1, 58, 30, tzinfo=UTC)


def entry(name: str, schedule: str | None) -> Entry:
    return Entry(name, "job", (), 256, 1, 1, 0, 1, 55, schedule=schedule)


class World:
    """A clock, the runs that were started, and what was reported."""

    def __init__(self) -> None:
        self.time = START
        self.runs: list[tuple[str, datetime]] = []
        self.reports: list[tuple[str, str, dict[str, Any]]] = []
        self.may_end = threading.Event()
        self.may_end.set()
        self.failure: str | Exception | None = None

    def clock(self) -> datetime:
        return self.time

    def run(self, entry: Entry) -> str | None:
        self.runs.append((entry.name, self.time))
        self.may_end.wait(10)
        if isinstance(self.failure, Exception):
            raise self.failure
        return self.failure

    def report(self, severity: str, message: str, **values: Any) -> None:
        self.reports.append((severity, message, values))

    def scheduler(self, *entries: Entry) -> Scheduler:
        return Scheduler(entries, self.run, clock=self.clock, report=self.report)

    def pass_time(self, scheduler: Scheduler, span: timedelta, steps: int) -> None:
        for _ in range(steps):
            self.time += span
            scheduler.tick()
            settle(scheduler)


def settle(scheduler: Scheduler) -> None:
    """Wait until every run that may end has ended."""
    scheduler.pool.shutdown(wait=True)
    from concurrent.futures import ThreadPoolExecutor

    scheduler.pool = ThreadPoolExecutor(8)


def test_jobs_run_when_they_are_due_in_utc() -> None:
    world = World()
    scheduler = world.scheduler(entry("minutely", "* * * * *"), entry("nightly", "0 2 * * *"), entry("manual", None))
    world.pass_time(scheduler, timedelta(seconds=30), 4)  # until 02:00:30
    at = datetime(2026, 3, 1, 1, 59, tzinfo=UTC), datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
    assert sorted(world.runs) == [("minutely", at[0]), ("minutely", at[1]), ("nightly", at[1])]


def test_it_waits_until_the_next_one_is_due_but_never_long() -> None:
    world = World()
    assert world.scheduler(entry("nightly", "0 12 * * *")).tick() == LONGEST_WAIT
    assert world.scheduler(entry("minutely", "59 1 * * *")).tick() == timedelta(seconds=30)
    assert world.scheduler().tick() == LONGEST_WAIT
    world.time = START + timedelta(seconds=20)
    assert world.scheduler(entry("minutely", "* * * * *")).tick() == timedelta(seconds=10)


def test_a_run_that_has_not_ended_is_not_started_again() -> None:
    world = World()
    world.may_end.clear()
    scheduler = world.scheduler(entry("minutely", "* * * * *"))
    for _ in range(3):
        world.time += timedelta(minutes=1)
        scheduler.tick()
    world.may_end.set()
    settle(scheduler)
    assert len(world.runs) == 1
    skipped = ("WARNING", "job skipped: its last run has not ended", {"job": "minutely"})
    assert world.reports == [skipped, skipped]
    world.pass_time(scheduler, timedelta(minutes=1), 1)
    assert len(world.runs) == 2


def test_a_failed_run_is_reported_and_the_next_run_comes() -> None:
    world = World()
    scheduler = world.scheduler(entry("minutely", "* * * * *"))
    world.failure = "500: no"
    world.pass_time(scheduler, timedelta(minutes=1), 1)
    world.failure = RuntimeError("worse")
    world.pass_time(scheduler, timedelta(minutes=1), 1)
    assert world.reports == [
        ("ERROR", "job failed", {"job": "minutely", "error": "500: no"}),
        ("ERROR", "job failed", {"job": "minutely", "error": "RuntimeError: worse"}),
    ]


def test_after_a_sleep_a_job_runs_once_not_once_per_missed_time() -> None:
    world = World()
    scheduler = world.scheduler(entry("minutely", "* * * * *"))
    world.pass_time(scheduler, timedelta(hours=8), 1)
    assert len(world.runs) == 1


def test_a_clock_that_goes_back_does_not_stop_a_job() -> None:
    world = World()
    scheduler = world.scheduler(entry("minutely", "* * * * *"))
    world.time = START - timedelta(hours=3)
    scheduler.tick()
    world.pass_time(scheduler, timedelta(minutes=1), 2)
    assert len(world.runs) == 2


def test_it_serves_until_wait_says_stop() -> None:
    world = World()
    scheduler = world.scheduler(entry("minutely", "* * * * *"))
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        world.time += timedelta(seconds=seconds)
        return len(waits) == 3

    scheduler.serve(wait)
    assert waits == [30.0, 30.0, 30.0]
