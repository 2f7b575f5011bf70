"""The spans of the local system in an SQLite file of the state folder, the newest MOST_SPANS of them."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from shared.telemetry.spans import REQUEST_ID

MOST_SPANS: Final = 200_000
TABLES: Final = """
CREATE TABLE IF NOT EXISTS spans (
    trace_id TEXT, span_id TEXT, parent_id TEXT, request_id TEXT, name TEXT, service TEXT,
    start_ns INTEGER, end_ns INTEGER, failure TEXT, attributes TEXT
);
CREATE INDEX IF NOT EXISTS spans_of_trace ON spans (trace_id);
CREATE INDEX IF NOT EXISTS spans_of_request ON spans (request_id) WHERE request_id IS NOT NULL;
"""


@dataclass(frozen=True)
class StoredSpan:
    """A span as it was received. Times are nanoseconds since 1970; ``failure`` is empty for work that succeeded."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    start_ns: int
    end_ns: int
    failure: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


def path_in(home: Path) -> Path:
    """Return the file in a state folder."""
    return home / "telemetry" / "spans.sqlite"


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file, which is created with its tables, in a transaction."""
    connection = sqlite3.connect(path, timeout=10)
    try:
        # a crash may lose the last spans; nothing else depends on them
        connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {TABLES}")
        with connection:
            yield connection
    finally:
        connection.close()


def add(path: Path, spans: Iterable[StoredSpan]) -> None:
    """Store spans, and drop the oldest beyond MOST_SPANS."""
    rows = [
        (
            span.trace_id,
            span.span_id,
            span.parent_id,
            span.attributes.get(REQUEST_ID),
            span.name,
            span.service,
            span.start_ns,
            span.end_ns,
            span.failure,
            json.dumps(span.attributes),
        )
        for span in spans
    ]
    with opened(path) as connection:
        connection.executemany("INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute("DELETE FROM spans WHERE rowid <= (SELECT max(rowid) FROM spans) - ?", (MOST_SPANS,))


def find(path: Path, wanted: str) -> list[StoredSpan]:
    """Return the spans of a trace, first begun first: ``wanted`` is the id of a trace or of one of its requests.

    A client may use a request id twice; the newest request with it counts. A span that was sent again after a
    timeout is returned once.
    """
    if not path.exists():
        return []
    with opened(path) as connection:
        row = connection.execute(
            "SELECT trace_id FROM spans WHERE request_id = ? ORDER BY start_ns DESC LIMIT 1", (wanted,)
        ).fetchone()
        found = connection.execute(
            """SELECT DISTINCT trace_id, span_id, parent_id, name, service, start_ns, end_ns, failure, attributes
               FROM spans WHERE trace_id = ? ORDER BY start_ns, end_ns DESC""",
            (row[0] if row else wanted,),
        ).fetchall()
    return [replace(StoredSpan(*row), attributes=json.loads(row[-1])) for row in found]
