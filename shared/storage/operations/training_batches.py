"""The table ``training_batches``: training batches on Spark, from submission to the model version they produced."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import orjson

from shared.clients.postgres import Connection, execute, read_one, write

Outcome = Literal["published", "kept"]

COLUMNS: Final = "id, job, started_at, submitted_at, ended_at, outcome, reason, choice"
# The partial unique index prevents a second open batch of the same job.
OPEN: Final = """
INSERT INTO training_batches (id, job, started_at, choice)
VALUES (:id, :job, :started_at, cast(:choice AS jsonb)) ON CONFLICT DO NOTHING RETURNING id
"""
SUBMITTED: Final = "UPDATE training_batches SET submitted_at = coalesce(submitted_at, clock_timestamp()) WHERE id = :id"
BEGIN_PUBLICATION: Final = """
UPDATE training_batches SET publications_begun = publications_begun + 1 WHERE id = :id RETURNING publications_begun
"""
FAIL_PUBLICATION: Final = "UPDATE training_batches SET publications_begun = publications_begun - 1 WHERE id = :id"
CLOSE: Final = """
UPDATE training_batches SET ended_at = clock_timestamp(), outcome = :outcome, reason = :reason
WHERE id = :id AND ended_at IS NULL
"""
FIND_OPEN: Final = f"SELECT {COLUMNS} FROM training_batches WHERE job = :job AND ended_at IS NULL"
LATEST: Final = f"SELECT {COLUMNS} FROM training_batches WHERE job = :job ORDER BY started_at DESC LIMIT 1"


class TrainingBatch(NamedTuple):
    """A training batch. ``outcome`` and ``reason`` are None while it is open, ``reason`` also after a publication."""

    id: str
    job: str
    started_at: datetime
    submitted_at: datetime | None
    ended_at: datetime | None
    outcome: Outcome | None
    reason: str | None
    choice: dict[str, Any]


def open_batch(batch_id: str, job: str, started_at: datetime, choice: Mapping[str, Any]) -> bool:
    """Record a batch about to be submitted; return False, recording nothing, if another batch of the job is open."""
    values = {"id": batch_id, "job": job, "started_at": started_at, "choice": orjson.dumps(dict(choice)).decode()}
    return bool(write(OPEN, **values))


def mark_submitted(batch_id: str) -> None:
    """Record that Google has accepted the batch."""
    write(SUBMITTED, id=batch_id)


def begin_publication(batch_id: str) -> int:
    """Count a publication that begins, and return how many have begun without an end, this one included."""
    return int(write(BEGIN_PUBLICATION, id=batch_id)[0][0])


def fail_publication(batch_id: str) -> None:
    """Uncount a publication that ended with an error: only attempts whose process was killed are counted."""
    write(FAIL_PUBLICATION, id=batch_id)


def close(connection: Connection, batch_id: str, outcome: Outcome, reason: str | None = None) -> None:
    """Record how a batch ended, inside the caller's transaction; does nothing if it has already ended."""
    execute(connection, CLOSE, {"id": batch_id, "outcome": outcome, "reason": reason})


def find_open(job: str) -> TrainingBatch | None:
    """Return the job's open batch, or None."""
    row = read_one(FIND_OPEN, job=job)
    return None if row is None else TrainingBatch(*row)


def latest(job: str) -> TrainingBatch | None:
    """Return the job's latest batch, open or not, or None."""
    row = read_one(LATEST, job=job)
    return None if row is None else TrainingBatch(*row)
