"""Runs of jobs: what is recorded of them, and what a run answers while something it needs is away."""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from shared.clients import postgres
from shared.errors import DatabaseUnavailable, JobRunning
from shared.job import Parameters, job, one_at_a_time
from tests.faulty_proxy import in_front_of
from tests.integration.conftest import Serve, settings_of


def test_a_killed_run_is_marked_as_failed_by_the_next_run(env: object, serve: Serve) -> None:
    postgres.write("INSERT INTO job_runs (job) VALUES ('daily_stats'), ('popular')")
    assert serve("daily_stats").post("/", json={}).status_code == 200
    rows = postgres.read("SELECT job, outcome, ended_at IS NOT NULL, details ->> 'error' FROM job_runs ORDER BY id")
    assert [row[:3] for row in rows] == [
        ("daily_stats", "failed", True),
        ("popular", "running", False),
        ("daily_stats", "succeeded", True),
    ]
    assert "killed" in rows[0][3]
    assert rows[2][3] is None


@pytest.mark.parametrize("fault", ["refuse", "stall"])
def test_while_postgres_is_away_a_job_is_unavailable(env: dict[str, str], serve: Serve, fault: str) -> None:
    settings = {"STATEMENT_TIMEOUT_S": "1", "DATABASE_TIMEOUT_S": "1"}
    with in_front_of(env["DATABASE_URL"]) as (proxy, url), settings_of(env | settings | {"DATABASE_URL": url}):
        client = serve("popular")
        assert client.post("/", json={}).status_code == 200
        getattr(proxy, fault)()
        answer = client.post("/", json={})
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:aisle:problem:database-unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        proxy.heal()


def test_a_lost_lock_changes_no_outcome(env: dict[str, str]) -> None:
    def end_session() -> None:
        postgres.write(
            """SELECT pg_terminate_backend(l.pid) FROM pg_locks l
               WHERE l.locktype = 'advisory' AND l.pid <> pg_backend_pid()"""
        )

    def fail() -> None:
        end_session()
        raise KeyError("the failure of the job")

    with one_at_a_time("popular"), pytest.raises(JobRunning), one_at_a_time("popular"):
        raise AssertionError("two runs at once")
    with one_at_a_time("popular"):
        end_session()
    with pytest.raises(KeyError, match="the failure of the job"), one_at_a_time("popular"):
        fail()
    # the lock is free again
    with one_at_a_time("popular"):
        pass


class Request:
    """A request without a body."""

    path = "/"
    headers: ClassVar[dict[str, str]] = {}

    @staticmethod
    def get_data() -> bytes:
        return b""


def answer_of(failure: Exception) -> tuple[bytes, int, dict[str, str]]:
    def failing(parameters: Parameters) -> dict[str, Any]:
        raise failure

    entry: Callable[[Any], tuple[bytes, int, dict[str, str]]] = job(failing)
    return entry(Request())


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (RuntimeError("cannot schedule new futures after shutdown"), 503),
        (RuntimeError("cannot schedule new futures after interpreter shutdown"), 503),
        (RuntimeError("cannot schedule"), 500),
        (DatabaseUnavailable("away"), 503),
    ],
)
def test_a_run_that_the_end_of_its_process_interrupts_can_be_run_again(
    env: object, failure: Exception, status: int
) -> None:
    body, code, headers = answer_of(failure)
    assert code == status, body
    assert ("Retry-After" in headers) == (status == 503)
