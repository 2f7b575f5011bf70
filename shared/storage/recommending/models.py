"""Model versions: stored completely, then activated in one transaction; a rollback activates an earlier version.

The neighbours of a version are a partition of item_similarity. Readers see the switch of versions atomically, and a
publication that crashes leaves nothing behind. Attaching a partition takes no lock that blocks readers.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from shared.clients.postgres import Connection, copy_in, execute, read, read_one, transaction
from shared.errors import Conflict, DatabaseBusy, NotFound
from shared.storage.answers import invalidation
from shared.storage.answers.protocol import MODEL_SCOPES
from shared.storage.operations import training_runs
from shared.storage.schema.advisory_locks import MODEL_VERSIONS, lock_until_commit

log = logging.getLogger(__name__)

MAX_VERSIONS: Final = 5
DROP_LOCK_TIMEOUT_S: Final = 2

ADD: Final = """
INSERT INTO models (algorithm, parameters, metrics)
VALUES (:algorithm, cast(:parameters AS jsonb), cast(:metrics AS jsonb)) RETURNING version
"""
# Functions of migration 0007 that run as the owner of the schema, because jobs own no tables.
CREATE_PARTITION: Final = "SELECT create_similarity_partition(:version)"
FILL: Final = "COPY item_similarity_{version} (version, product_id, neighbours, scores, co_occurrence) FROM STDIN"
ANALYZE: Final = "ANALYZE item_similarity_{version}"
ATTACH: Final = "SELECT attach_similarity_partition(:version)"
DROP: Final = "SELECT drop_similarity_partition(:version)"

DEACTIVATE: Final = "UPDATE models SET active = false WHERE active RETURNING version"
ACTIVATE: Final = "UPDATE models SET active = true WHERE version = :version"

STORED: Final = """
SELECT substring(child.relname FROM '\\d+$')::integer AS version
FROM pg_inherits i JOIN pg_class child ON child.oid = i.inhrelid
WHERE i.inhparent = 'item_similarity'::regclass AND child.relname ~ '^item_similarity_\\d+$'
"""
SURPLUS: Final = f"""
SELECT version FROM ({STORED} ORDER BY version DESC OFFSET :max_versions) AS surplus
WHERE version NOT IN (SELECT version FROM models WHERE active) ORDER BY version
"""
LIST: Final = f"""
SELECT m.version, m.algorithm, m.parameters, m.metrics, m.active, m.published_at, s.version IS NOT NULL AS stored
FROM models m LEFT JOIN ({STORED}) AS s USING (version) ORDER BY m.version DESC LIMIT :limit
"""
IS_ACTIVE: Final = "SELECT active FROM models WHERE version = :version"
HAS_ACTIVE: Final = "SELECT 1 FROM models WHERE active"
ACTIVE: Final = f"{LIST.partition('ORDER BY')[0]} WHERE m.active"
GET: Final = f"{LIST.partition('ORDER BY')[0]} WHERE m.version = :version"
# A version's neighbours as packed big-endian columns, best first, in rows of a few thousand products each.
PACKED: Final = """
SELECT string_agg(int8send(s.product_id), ''::bytea ORDER BY s.product_id, n.place),
       string_agg(int8send(n.id), ''::bytea ORDER BY s.product_id, n.place),
       string_agg(float4send(n.score), ''::bytea ORDER BY s.product_id, n.place)
FROM item_similarity s CROSS JOIN LATERAL unnest(s.neighbours, s.scores) WITH ORDINALITY AS n(id, score, place)
WHERE s.version = :version GROUP BY s.product_id / 4096 ORDER BY s.product_id / 4096
"""


class PackedNeighbours(NamedTuple):
    """Product-neighbour pairs as big-endian columns, by product, best first.

    product_ids, neighbour_ids : int64.  scores : float32.
    """

    product_ids: bytes
    neighbour_ids: bytes
    scores: bytes


@dataclass(frozen=True)
class Model:
    """A published version; ``stored`` is whether its neighbours still exist, so that it can be activated."""

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
    """Return the active version; None if nothing has been published yet."""
    row = read_one(ACTIVE)
    return Model(*row) if row is not None else None


def read_neighbours(version: int) -> list[PackedNeighbours]:
    """Return the neighbours of a stored version; none if they were dropped."""
    with transaction(statement_timeout_s=0) as connection:
        return [PackedNeighbours(*row) for row in execute(connection, PACKED, {"version": version})]


def has_active() -> bool:
    """Return whether a version is active."""
    return read_one(HAS_ACTIVE) is not None


def publish(
    *,
    job: str,
    started_at: datetime,
    algorithm: str,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, Any],
    rows: Iterable[bytes],
    timings: Mapping[str, Any] | None = None,
) -> int:
    """Store a new version, activate it, and return its number.

    The run of the job is recorded with ``metrics`` and ``timings``, the version only with ``metrics``: a version's
    record depends on the data, not on the speed of the machine.

    ``rows`` are chunks of COPY text with the columns product_id, neighbours, scores and co_occurrence. Readers see the
    previous version until the switch. An error or a crash while the rows are being stored changes nothing; one between
    storing and switching leaves the version stored but inactive.
    """
    with transaction(statement_timeout_s=0) as connection:
        values = {"algorithm": algorithm, "parameters": _json(parameters), "metrics": _json(metrics)}
        version = int(execute(connection, ADD, values)[0][0])
        execute(connection, CREATE_PARTITION, {"version": version})
        prefix = b"%d\t" % version
        copy_in(connection, FILL.format(version=version), (prefix + row for row in rows))
        execute(connection, ANALYZE.format(version=version))
        # Taken before the table's lock, as in drop_surplus; in the opposite order the two could deadlock.
        _lock(connection)
        execute(connection, ATTACH, {"version": version})
    # A second transaction, because a reader plans its statement before it takes its snapshot. If a single commit
    # attached and activated the version, a snapshot could see it active while the plan lacks its partition, and so find
    # no neighbours.
    try:
        with transaction() as connection:
            _lock(connection)
            _switch(connection, version)
            training_runs.add(connection, job, started_at, "published", {**metrics, **(timings or {})}, version)
    except Exception:
        _discard(version)
        raise
    invalidation.flush(*MODEL_SCOPES)
    return version


def _discard(version: int) -> None:
    """Drop the neighbours of a version that could not be activated, as far as possible.

    Otherwise each attempt would leave a version, and MAX_VERSIONS of them would push out those to roll back to.
    """
    try:
        with transaction(statement_timeout_s=0) as connection:
            execute(connection, f"SET LOCAL lock_timeout = '{DROP_LOCK_TIMEOUT_S}s'")
            _lock(connection)
            # where only the answer to the commit was lost, it is active
            if not execute(connection, IS_ACTIVE, {"version": version})[0][0]:
                execute(connection, DROP, {"version": version})
    except Exception as error:  # noqa: BLE001 — the caller raises what went wrong before
        log.warning("model version not dropped", extra={"version": version, "error": str(error)[:500]})


def _lock(connection: Connection) -> None:
    """Wait until no other transaction changes versions; two concurrent ones would each activate their own."""
    lock_until_commit(connection, MODEL_VERSIONS)


def _switch(connection: Connection, version: int) -> int | None:
    """Activate ``version`` while holding the lock; return the previously active version."""
    previous = execute(connection, DEACTIVATE)
    execute(connection, ACTIVATE, {"version": version})
    return int(previous[0][0]) if previous else None


def activate(connection: Connection, version: int) -> int | None:
    """Activate an earlier version in the caller's transaction; return the previously active version.

    After the commit, the caller must flush MODEL_SCOPES. Raises NotFound for an unknown version, and Conflict if its
    neighbours were dropped.
    """
    _lock(connection)
    rows = execute(connection, GET, {"version": version})
    if not rows:
        raise NotFound(f"There is no model version {version}; GET /admin/models lists them.")
    if not Model(*rows[0]).stored:
        raise Conflict(
            f"Version {version} was dropped: only the last {MAX_VERSIONS} are stored. Activate a stored version."
        )
    return _switch(connection, version)


def drop_surplus() -> list[int]:
    """Drop the versions beyond the last MAX_VERSIONS, except the active one, and return their numbers.

    Dropping briefly needs an exclusive lock on the table. If it cannot be acquired within DROP_LOCK_TIMEOUT_S, the next
    publication drops them.
    """
    from sqlalchemy.exc import DBAPIError

    try:
        with transaction(statement_timeout_s=0) as connection:
            _lock(connection)
            execute(connection, f"SET LOCAL lock_timeout = '{DROP_LOCK_TIMEOUT_S}s'")
            surplus = [int(row[0]) for row in execute(connection, SURPLUS, {"max_versions": MAX_VERSIONS})]
            for version in surplus:
                execute(connection, DROP, {"version": version})
            return surplus
    except (DBAPIError, DatabaseBusy) as error:
        log.warning("old model versions not dropped", extra={"error": str(error.__cause__ or error)[:500]})
        return []
