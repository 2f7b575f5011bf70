"""The records of a job's runs."""

from shared.clients import postgres
from tests.integration.conftest import Serve


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
