"""The table ``job_runs``: one row per run of a job, written by shared/job.py and shown to staff."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import orjson

from shared.clients.postgres import read, write

Outcome = Literal["succeeded", "failed"]

TABLE: Final = "SELECT to_regclass('job_runs')"
# The caller holds the job's lock, so a run still marked as running was killed.
BEGIN: Final = """
WITH killed AS (
    UPDATE job_runs SET ended_at = clock_timestamp(), outcome = 'failed', details = cast(:details AS jsonb)
    WHERE job = :job AND outcome = 'running'
)
INSERT INTO job_runs (job) VALUES (:job) RETURNING id
"""
END: Final = """
UPDATE job_runs SET ended_at = clock_timestamp(), outcome = :outcome, details = cast(:details AS jsonb) WHERE id = :id
"""
KILLED: Final = {"error": "The process was killed before the run ended; the next run of the job noticed it."}
# One index scan per job; jobs that run every minute would make a scan of the whole table slow.
LATEST: Final = """
SELECT run.id, run.job, run.started_at, run.ended_at, run.outcome, run.details
FROM unnest(cast(:jobs AS text[])) WITH ORDINALITY AS requested(job, position),
LATERAL (SELECT * FROM job_runs r WHERE r.job = requested.job ORDER BY r.started_at DESC LIMIT :limit) AS run
ORDER BY requested.position, run.started_at DESC
"""


class Run(NamedTuple):
    """A run of a job; ``outcome`` is running, succeeded or failed; ``details`` is the result or the error."""

    id: int
    job: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    details: dict[str, Any]


def _json(details: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(details), default=str).decode()


def begin(job: str) -> int | None:
    """Record the start of a run, mark unfinished earlier runs as killed, and return the run's id.

    The caller must hold the job's lock. Returns None if the table does not exist yet; the job ``migrate`` creates it.
    """
    if read(TABLE)[0][0] is None:
        return None
    return int(write(BEGIN, job=job, details=_json(KILLED))[0][0])


def end(run_id: int, outcome: Outcome, details: Mapping[str, Any]) -> None:
    """Record how a run ended. Raises DatabaseUnavailable."""
    write(END, id=run_id, outcome=outcome, details=_json(details))


def latest(jobs: Sequence[str], limit: int) -> dict[str, list[Run]]:
    """Return the last ``limit`` runs of each job, newest first; an empty list for a job that never ran."""
    runs: dict[str, list[Run]] = {job: [] for job in jobs}
    for row in read(LATEST, jobs=list(jobs), limit=limit):
        run = Run(*row)
        runs[run.job].append(run)
    return runs
