"""The table ``training_runs``: the result and HTML report of each training or evaluation run."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from shared.clients.postgres import Connection, execute, read_one
from shared.storage.paging import PagedList, Place

ADD: Final = """
INSERT INTO training_runs (job, started_at, ended_at, outcome, version, details)
VALUES (:job, :started_at, clock_timestamp(), :outcome, :version, cast(:details AS jsonb))
"""
# Lists omit the report, which is a complete HTML page; REPORT reads it separately.
PAGE: Final = """
SELECT id, job, started_at, ended_at, outcome, version, details - 'report',
    coalesce(jsonb_typeof(details -> 'report') = 'string', false)
FROM training_runs WHERE (cast(:job AS text) IS NULL OR job = :job) AND {after}
ORDER BY id DESC LIMIT :limit OFFSET :offset
"""
COUNT: Final = "SELECT count(*) FROM training_runs WHERE cast(:job AS text) IS NULL OR job = :job"
RUNS: Final = PagedList("training-runs", PAGE, COUNT, [("id", True, "bigint")], places=(0,))
REPORT: Final = "SELECT details ->> 'report' FROM training_runs WHERE id = :id"
# By the primary key in descending order, since the run is among the latest.
OF_BATCH: Final = """
SELECT version FROM training_runs WHERE job = :job AND outcome = 'published' AND details ->> 'batch' = :batch
ORDER BY id DESC LIMIT 1"""


class TrainingRun(NamedTuple):
    """A run; ``version`` is the model version that it published, ``has_report`` whether it has an HTML report."""

    id: int
    job: str
    started_at: datetime
    ended_at: datetime
    outcome: str
    version: int | None
    details: dict[str, Any]
    has_report: bool


def find_version(job: str, batch: str) -> int | None:
    """Return the activated model version that a Spark batch produced; None if there is none."""
    row = read_one(OF_BATCH, job=job, batch=batch)
    return None if row is None else int(row[0])


def add(
    connection: Connection,
    job: str,
    started_at: datetime,
    outcome: str,
    details: Mapping[str, Any],
    version: int | None = None,
) -> None:
    """Record the result of a run that ends now, inside the caller's transaction."""
    execute(
        connection,
        ADD,
        {
            "job": job,
            "started_at": started_at,
            "outcome": outcome,
            "version": version,
            "details": orjson.dumps(dict(details)).decode(),
        },
    )


def page(place: Place, job: str | None = None) -> tuple[list[TrainingRun], int, str | None]:
    """Return a page of runs of one job or of all jobs, newest first, their total number and the next page's cursor.

    Raises InvalidRequest for an invalid cursor.
    """
    rows, total, following = RUNS.read(place, job=job)
    return [TrainingRun(*row) for row in rows], total, following


def report(run_id: int) -> str | None:
    """Return the HTML report of a run; None if there is no such run or it has no report."""
    row = read_one(REPORT, id=run_id)
    return None if row is None else row[0]
