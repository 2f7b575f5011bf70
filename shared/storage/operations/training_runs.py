"""What training and evaluation came to, run by run, and the reports they left."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from shared.clients.postgres import read, read_one

# a report is a whole page: it is read by itself
PAGE: Final = """
SELECT id, job, started_at, ended_at, outcome, version, details - 'report',
    coalesce(jsonb_typeof(details -> 'report') = 'string', false)
FROM training_runs WHERE cast(:job AS text) IS NULL OR job = :job ORDER BY id DESC LIMIT :limit OFFSET :offset
"""
COUNT: Final = "SELECT count(*) FROM training_runs WHERE cast(:job AS text) IS NULL OR job = :job"
REPORT: Final = "SELECT details ->> 'report' FROM training_runs WHERE id = :id"


class TrainingRun(NamedTuple):
    """One run; ``version`` is what it published, ``has_report`` whether it left a page to read."""

    id: int
    job: str
    started_at: datetime
    ended_at: datetime
    outcome: str
    version: int | None
    details: dict[str, Any]
    has_report: bool


def page(limit: int, offset: int, job: str | None = None) -> tuple[list[TrainingRun], int]:
    """Return runs of one job or of all, newest first, and how many there are in all."""
    found = [TrainingRun(*row) for row in read(PAGE, limit=limit, offset=offset, job=job)]
    return found, int(read(COUNT, job=job)[0][0])


def report(run_id: int) -> str | None:
    """Return the HTML page of a run; None where there is no such run, or it left none."""
    row = read_one(REPORT, id=run_id)
    return None if row is None else row[0]
