"""The table ``imports``: the progress and the report of every catalog import."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import orjson

from shared.clients.postgres import Connection, execute, read, write
from shared.errors import NotFound

Kind = Literal["post", "job", "feed"]
State = Literal["running", "succeeded", "failed"]
# Lists in a stored report are truncated to this many entries, since reports are read by people.
MAX_LISTED: Final = 100

COLUMNS: Final = (
    "id, kind, feed_id, source, state, rows_read, rows_written, rows_refused, started_at, updated_at, ended_at"
)
# Jobs of one kind run one at a time, so an import still marked as running was killed.
BEGIN: Final = """
WITH killed AS (
    UPDATE imports SET state = 'failed', ended_at = clock_timestamp(), report = cast(:killed AS jsonb)
    WHERE kind = :kind AND state = 'running'
)
INSERT INTO imports (kind, feed_id, source) VALUES (:kind, :feed_id, :source) RETURNING id"""
PROGRESS: Final = """
UPDATE imports SET rows_read = :rows, rows_written = :written, rows_refused = :refused, updated_at = clock_timestamp()
WHERE id = :id"""
END: Final = """
UPDATE imports SET state = :state, rows_read = :rows, rows_written = :written, rows_refused = :refused,
    updated_at = clock_timestamp(), ended_at = clock_timestamp(), report = cast(:report AS jsonb)
WHERE id = :id"""
DONE: Final = """
INSERT INTO imports (kind, source, state, rows_read, rows_written, rows_refused, ended_at, report)
VALUES ('post', :source, 'succeeded', :rows, :written, :refused, clock_timestamp(), cast(:report AS jsonb))
RETURNING id"""
LIST: Final = f"SELECT {COLUMNS} FROM imports ORDER BY id DESC LIMIT :limit"
GET: Final = f"SELECT {COLUMNS}, report FROM imports WHERE id = :id"
KILLED: Final = {"error": "The process was killed before the import ended. What it had stored stays; run it again."}


class Import(NamedTuple):
    """An import; ``rows_written`` counts created and updated products."""

    id: int
    kind: Kind
    feed_id: int | None
    source: str
    state: State
    rows_read: int
    rows_written: int
    rows_refused: int
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    report: dict[str, Any] | None = None


def public_source(source: str) -> str:
    """Return a source URL without user, password and query, which may be credentials."""
    parts = urlsplit(source)
    if not parts.netloc:
        return source
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "…" if parts.query else "", ""))


def _json(report: Mapping[str, Any]) -> str:
    cut = {name: value[:MAX_LISTED] if isinstance(value, list) else value for name, value in report.items()}
    return orjson.dumps(cut, default=str).decode()


def _counts(counts: Mapping[str, int]) -> dict[str, int]:
    return {
        "rows": counts.get("rows", 0),
        "written": counts.get("created", 0) + counts.get("updated", 0),
        "refused": counts.get("rejected", counts.get("failed", 0)),
    }


def begin(kind: Kind, source: str, feed_id: int | None = None) -> int:
    """Record the start of an import and return its id."""
    killed = orjson.dumps(KILLED).decode()
    return int(write(BEGIN, kind=kind, source=public_source(source), feed_id=feed_id, killed=killed)[0][0])


def report_progress(import_id: int, counts: Mapping[str, int]) -> None:
    """Record the progress of an import."""
    write(PROGRESS, id=import_id, **_counts(counts))


def end(import_id: int, state: State, counts: Mapping[str, int], report: Mapping[str, Any]) -> None:
    """Record how an import ended."""
    write(END, id=import_id, state=state, report=_json(report), **_counts(counts))


def record_done(connection: Connection, source: str, report: Mapping[str, Any]) -> int:
    """Record a finished import inside its own transaction, and return its id."""
    return int(execute(connection, DONE, {"source": source, "report": _json(report), **_counts(report)})[0][0])


def latest(limit: int) -> list[Import]:
    """Return the latest ``limit`` imports, newest first, without their reports."""
    return [Import(*row) for row in read(LIST, limit=limit)]


def get(import_id: int) -> Import:
    """Return an import with its report. Raises NotFound."""
    rows = read(GET, id=import_id)
    if not rows:
        raise NotFound(f"There is no import {import_id}; GET /admin/imports lists the last ones.")
    return Import(*rows[0])
