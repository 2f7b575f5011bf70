"""What jobs did: their latest runs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from shared.clients.postgres import read

# per job along its index: jobs that run every minute would make any scan long
LATEST: Final = """
SELECT run.id, run.job, run.started_at, run.ended_at, run.outcome, run.details
FROM unnest(cast(:jobs AS text[])) WITH ORDINALITY AS wanted(job, place),
LATERAL (SELECT * FROM job_runs r WHERE r.job = wanted.job ORDER BY r.started_at DESC LIMIT :limit) AS run
ORDER BY wanted.place, run.started_at DESC
"""


class Run(NamedTuple):
    """One run; ``outcome`` is running, succeeded or failed, ``details`` its result or error."""

    id: int
    job: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    details: dict[str, Any]


def latest(jobs: Sequence[str], limit: int) -> dict[str, list[Run]]:
    """Return each job's last ``limit`` runs, latest first; a job that never ran has none."""
    found: dict[str, list[Run]] = {job: [] for job in jobs}
    for row in read(LATEST, jobs=list(jobs), limit=limit):
        run = Run(*row)
        found[run.job].append(run)
    return found
