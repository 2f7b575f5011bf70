"""Model versions: published whole, switched in one transaction, rolled back by one row.

A version's neighbours are a partition of item_similarity. Everything a reader could see changes in one transaction, so
a publisher that dies leaves nothing behind; readers are never blocked, because attaching takes no lock that they need.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from shared.clients.postgres import Connection, copy_in, execute, read, read_one, transaction
from shared.errors import Conflict, NotFound
from shared.storage.answers import invalidation

log = logging.getLogger(__name__)

KEPT_VERSIONS: Final = 5
# of advisory locks: whoever changes which version is active, or drops one, waits here
LOCK: Final = 4_711_002
DROP_LOCK_TIMEOUT_S: Final = 2

ADD: Final = """
INSERT INTO models (algorithm, parameters, metrics)
VALUES (:algorithm, cast(:parameters AS jsonb), cast(:metrics AS jsonb)) RETURNING version
"""
CREATE_PARTITION: Final = "CREATE TABLE item_similarity_{version} (LIKE item_similarity INCLUDING ALL)"
# lets ATTACH trust what it would otherwise scan for
CONSTRAIN: Final = "ALTER TABLE item_similarity_{version} ADD CONSTRAINT of_version CHECK (version = {version})"
FILL: Final = "COPY item_similarity_{version} (version, product_id, neighbours, scores, co_occurrence) FROM STDIN"
ANALYZE: Final = "ANALYZE item_similarity_{version}"
ATTACH: Final = "ALTER TABLE item_similarity ATTACH PARTITION item_similarity_{version} FOR VALUES IN ({version})"
DROP: Final = "DROP TABLE IF EXISTS item_similarity_{version}"

DEACTIVATE: Final = "UPDATE models SET active = false WHERE active RETURNING version"
ACTIVATE: Final = "UPDATE models SET active = true WHERE version = :version"
ADD_RUN: Final = """
INSERT INTO training_runs (job, started_at, ended_at, outcome, version, details)
VALUES (:job, :started_at, clock_timestamp(), :outcome, :version, cast(:details AS jsonb))
"""

STORED: Final = """
SELECT substring(child.relname FROM '\\d+$')::integer AS version
FROM pg_inherits i JOIN pg_class child ON child.oid = i.inhrelid
WHERE i.inhparent = 'item_similarity'::regclass AND child.relname ~ '^item_similarity_\\d+$'
"""
SURPLUS: Final = f"""
SELECT version FROM ({STORED} ORDER BY version DESC OFFSET :kept) AS surplus
WHERE version NOT IN (SELECT version FROM models WHERE active) ORDER BY version
"""
LIST: Final = f"""
SELECT m.version, m.algorithm, m.parameters, m.metrics, m.active, m.published_at, s.version IS NOT NULL AS stored
FROM models m LEFT JOIN ({STORED}) AS s USING (version) ORDER BY m.version DESC LIMIT :limit
"""
ACTIVE: Final = f"{LIST.partition('ORDER BY')[0]} WHERE m.active"
ONE: Final = f"{LIST.partition('ORDER BY')[0]} WHERE m.version = :version"


@dataclass(frozen=True)
class Model:
    """One published version; ``stored`` is whether its neighbours are still there to be activated."""

    version: int
    algorithm: str
    parameters: dict[str, Any]
    metrics: dict[str, Any]
    active: bool
    published_at: datetime
    stored: bool


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(value)).decode()


def list_models(limit: int = 100) -> list[Model]:
    """Return the latest versions, newest first."""
    return [Model(*row) for row in read(LIST, limit=limit)]


def active() -> Model | None:
    """Return the active version; None where nothing was published yet."""
    row = read_one(ACTIVE)
    return Model(*row) if row is not None else None


def add_run(
    connection: Connection,
    job: str,
    started_at: datetime,
    outcome: str,
    details: Mapping[str, Any],
    version: int | None = None,
) -> None:
    """Write what came of a training run."""
    execute(
        connection,
        ADD_RUN,
        {"job": job, "started_at": started_at, "outcome": outcome, "version": version, "details": _json(details)},
    )


def publish(
    *,
    job: str,
    started_at: datetime,
    algorithm: str,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, Any],
    rows: Iterable[bytes],
) -> int:
    """Store a new version, make it the active one, and return its number.

    ``rows`` are chunks of COPY text: product_id, neighbours, scores and co_occurrence per line, without the version.
    Readers see the previous version until the switch and this one after it. An error or a crash while it is stored
    leaves everything as it was; one before the switch leaves the version stored and not active.
    """
    with transaction(statement_timeout_s=0) as connection:
        values = {"algorithm": algorithm, "parameters": _json(parameters), "metrics": _json(metrics)}
        version = int(execute(connection, ADD, values)[0][0])
        for statement in (CREATE_PARTITION, CONSTRAIN):
            execute(connection, statement.format(version=version))
        prefix = b"%d\t" % version
        copy_in(connection, FILL.format(version=version), (prefix + row for row in rows))
        execute(connection, ANALYZE.format(version=version))
        # before the table's own lock, as in drop_surplus: taken in the other order the two could wait in a circle
        _lock(connection)
        execute(connection, ATTACH.format(version=version))
    # A reader plans its statement before it takes its snapshot. Attached and switched in one commit, the version could
    # be active in a snapshot whose plan has no such partition yet, and the reader would see no neighbours at all.
    with transaction() as connection:
        _lock(connection)
        _switch(connection, version)
        add_run(connection, job, started_at, "published", metrics, version)
    invalidation.flush("similar", "recommendations", "dashboard")
    return version


def _lock(connection: Connection) -> None:
    """Wait for the right to change versions: two at once would each see none active but their own."""
    execute(connection, "SELECT pg_advisory_xact_lock(:lock)", {"lock": LOCK})


def _switch(connection: Connection, version: int) -> int | None:
    """Make ``version`` the active one, under the lock, and return which was."""
    previous = execute(connection, DEACTIVATE)
    execute(connection, ACTIVATE, {"version": version})
    return int(previous[0][0]) if previous else None


def activate(connection: Connection, version: int) -> int | None:
    """Switch to a version published earlier, inside the caller's transaction; return which was active.

    The caller flushes the cache scopes similar and recommendations after its commit. Raises NotFound for a version that
    never was, Conflict for one whose neighbours have been dropped.
    """
    _lock(connection)
    found = execute(connection, ONE, {"version": version})
    if not found:
        raise NotFound(f"There is no model version {version}; GET /admin/models lists them.")
    if not Model(*found[0]).stored:
        raise Conflict(
            f"Version {version} was dropped: the last {KEPT_VERSIONS} are kept. Activate one that is stored."
        )
    return _switch(connection, version)


def drop_surplus() -> list[int]:
    """Drop the versions beyond the last five, never the active one, and return which went.

    Dropping needs the table to itself for a moment: when a reader does not give way in time, the next run does it.
    """
    from sqlalchemy.exc import DBAPIError

    try:
        with transaction(statement_timeout_s=0) as connection:
            _lock(connection)
            execute(connection, f"SET LOCAL lock_timeout = '{DROP_LOCK_TIMEOUT_S}s'")
            surplus = [int(row[0]) for row in execute(connection, SURPLUS, {"kept": KEPT_VERSIONS})]
            for version in surplus:
                execute(connection, DROP.format(version=version))
            return surplus
    except DBAPIError as error:
        log.warning("old model versions not dropped", extra={"error": str(error.orig)[:500]})
        return []
