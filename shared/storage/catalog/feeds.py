"""Scheduled feeds: their settings, which products came from them, and which of those have vanished."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from shared.clients.postgres import Connection, execute, read, write
from shared.domain.catalog import ProductWrite
from shared.domain.json_values import escaped_text
from shared.errors import NotFound

# The columns that staff can set.
SETTINGS: Final = (
    "name",
    "url",
    "preset",
    "columns",
    "separator",
    "encoding",
    "decimal",
    "format",
    "every_minutes",
    "credentials",
    "max_gone_share",
    "is_active",
)
# Maximum length of an ETag or Last-Modified value that is stored.
MAX_MARK_CHARACTERS: Final = 500
_SET: Final = ", ".join(SETTINGS)
COLUMNS: Final = f"id, {_SET}, next_run_at, last_run_at, last_outcome, last_detail, created_at, updated_at"
LAST_IMPORT: Final = "(SELECT max(i.id) FROM imports i WHERE i.feed_id = f.id) AS last_import_id"
LIST: Final = f"SELECT {COLUMNS}, {LAST_IMPORT} FROM feeds f ORDER BY id"
GET: Final = f"SELECT {COLUMNS}, {LAST_IMPORT} FROM feeds f WHERE id = :id"
LOCK: Final = GET + " FOR UPDATE OF f"
ADD: Final = f"INSERT INTO feeds ({_SET}) VALUES ({', '.join(f':{name}' for name in SETTINGS)}) RETURNING id"
# After a change of settings, the file must be read again even if it is the same.
CHANGE: Final = f"""
UPDATE feeds SET {", ".join(f"{name} = :{name}" for name in SETTINGS)}, etag = NULL, last_modified = NULL,
    digest = NULL, cursor = NULL, next_run_at = now(), updated_at = now()
WHERE id = :id"""
DELETE: Final = "DELETE FROM feeds WHERE id = :id"
DUE: Final = f"""
SELECT {COLUMNS}, etag, last_modified, digest, cursor FROM feeds
WHERE is_active AND next_run_at <= now() ORDER BY next_run_at, id"""
# If a run is killed, for example by an endless or oversized file, its feed must not come first in the next round, or
# the other feeds would never run.
BEGUN: Final = """
UPDATE feeds SET next_run_at = now() + least(make_interval(mins => every_minutes), interval '1 hour')
WHERE id = :id"""
# Due a minute early, so that a feed does not just miss a scheduled round and wait for another. Settings that changed
# during the run make the feed due at once and discard what identifies its last file.
RAN: Final = """
UPDATE feeds f SET last_run_at = now(), last_outcome = :outcome, last_detail = :detail,
    next_run_at = CASE WHEN ran.is_current THEN now() + make_interval(mins => every_minutes) - interval '1 minute'
                       ELSE next_run_at END,
    etag = CASE WHEN ran.is_current THEN cast(:etag AS text) END,
    last_modified = CASE WHEN ran.is_current THEN cast(:last_modified AS text) END,
    digest = CASE WHEN ran.is_current THEN cast(:digest AS text) END
FROM (SELECT id, updated_at = cast(:settings_at AS timestamptz) AS is_current
      FROM feeds WHERE id = :id FOR UPDATE) AS ran
WHERE f.id = ran.id"""
SEEN: Final = """
INSERT INTO feed_products AS f (feed_id, external_id, import_id, is_own)
SELECT :feed_id, s.external_id, :import_id, coalesce(p.id = ANY (cast(:created AS bigint[])), false)
FROM unnest(cast(:ids AS text[])) AS s(external_id) LEFT JOIN products p USING (external_id)
ORDER BY s.external_id
ON CONFLICT (feed_id, external_id) DO UPDATE SET import_id = EXCLUDED.import_id"""
# Products that were hidden because they had vanished from the feed, and are back in it.
RETURNED: Final = """
WITH back AS (
    UPDATE feed_products SET hidden_at = NULL
    WHERE feed_id = :feed_id AND external_id = ANY (cast(:ids AS text[])) AND hidden_at IS NOT NULL
    RETURNING external_id
)
UPDATE products p SET is_active = true, updated_at = now() FROM back
WHERE p.external_id = back.external_id AND NOT p.is_active
  AND back.external_id = ANY (cast(:shown AS text[]))
RETURNING p.id"""
STILL_THERE: Final = """
UPDATE feed_products SET import_id = :import_id
WHERE feed_id = :feed_id AND external_id = ANY (cast(:ids AS text[]))"""
# Number of visible products that this feed created, and how many of them the last file lacks.
GONE: Final = """
SELECT count(*), count(*) FILTER (WHERE f.import_id <> :import_id)
FROM feed_products f JOIN products p USING (external_id)
WHERE f.feed_id = :feed_id AND f.is_own AND f.hidden_at IS NULL AND p.is_active"""
# A product that is still in another feed stays visible.
_IN_NO_OTHER: Final = """NOT EXISTS (
          SELECT FROM feed_products other
          WHERE other.external_id = f.external_id AND other.feed_id <> f.feed_id AND other.hidden_at IS NULL)"""
HIDE: Final = f"""
WITH gone AS (
    SELECT f.external_id FROM feed_products f
    WHERE f.feed_id = :feed_id AND f.is_own AND f.hidden_at IS NULL AND f.import_id <> :import_id
      AND {_IN_NO_OTHER}
), hidden AS (
    UPDATE products p SET is_active = false, updated_at = now() FROM gone
    WHERE p.external_id = gone.external_id AND p.is_active RETURNING p.id, p.external_id
), noted AS (
    UPDATE feed_products f SET hidden_at = now() FROM hidden
    WHERE f.feed_id = :feed_id AND f.external_id = hidden.external_id
)
SELECT id FROM hidden"""

# Hides variants that the feed no longer lists for their product.
HIDE_VARIANTS: Final = f"""
WITH gone AS (
    SELECT f.external_id FROM feed_products f JOIN products p USING (external_id)
    WHERE f.feed_id = :feed_id AND f.is_own AND f.hidden_at IS NULL
      AND p.item_group_id = ANY (cast(:groups AS text[])) AND NOT p.external_id = ANY (cast(:kept AS text[]))
      AND {_IN_NO_OTHER}
), hidden AS (
    UPDATE products p SET is_active = false, updated_at = now() FROM gone
    WHERE p.external_id = gone.external_id AND p.is_active RETURNING p.id, p.external_id
), noted AS (
    UPDATE feed_products f SET hidden_at = now() FROM hidden
    WHERE f.feed_id = :feed_id AND f.external_id = hidden.external_id
)
SELECT id FROM hidden"""
# Only if the feed's settings have not changed since its run began.
SAVE_CURSOR: Final = """
UPDATE feeds SET cursor = cast(:cursor AS jsonb)
WHERE id = :id AND updated_at = cast(:settings_at AS timestamptz)"""
PULLED: Final = "SELECT id, cursor FROM feeds WHERE preset = :preset AND is_active ORDER BY id LIMIT 1"


class Vanished(NamedTuple):
    """How many products a feed had, how many of them its last file lacks, and the ids of those hidden."""

    known: int
    gone: int
    hidden: list[int]


def list_feeds() -> list[dict[str, Any]]:
    """Return every feed, oldest first."""
    return [dict(row._mapping) for row in read(LIST)]


def get(feed_id: int) -> dict[str, Any]:
    """Return a feed. Raises NotFound."""
    rows = read(GET, id=feed_id)
    if not rows:
        raise NotFound(f"There is no feed {feed_id}; GET /admin/feeds lists them.")
    return dict(rows[0]._mapping)


def lock(connection: Connection, feed_id: int) -> dict[str, Any]:
    """Return a feed, locked until the transaction ends. Raises NotFound."""
    rows = execute(connection, LOCK, {"id": feed_id})
    if not rows:
        raise NotFound(f"There is no feed {feed_id}; GET /admin/feeds lists them.")
    return dict(rows[0]._mapping)


def add(connection: Connection, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Store a new feed, due at once, and return it."""
    feed_id = int(execute(connection, ADD, {name: settings[name] for name in SETTINGS})[0][0])
    return lock(connection, feed_id)


def change(connection: Connection, feed_id: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Replace a feed's settings, make it due at once, and return it."""
    execute(connection, CHANGE, {"id": feed_id, **{name: settings[name] for name in SETTINGS}})
    return lock(connection, feed_id)


def delete(connection: Connection, feed_id: int) -> None:
    """Delete a feed. Its products stay as they are."""
    execute(connection, DELETE, {"id": feed_id})


def due() -> list[dict[str, Any]]:
    """Return the active feeds that are due, the longest overdue first."""
    return [dict(row._mapping) for row in read(DUE)]


def begin_run(feed_id: int) -> None:
    """Record the start of a run. If it never ends, the feed is due again within an hour."""
    write(BEGUN, id=feed_id)


def record_run(feed: Mapping[str, Any], outcome: str, detail: str, marks: Mapping[str, str | None]) -> None:
    """Record the outcome of a run; ``feed`` is a feed as ``due`` returned it.

    marks : ``etag``, ``last_modified`` and ``digest``, which identify the last imported file. The first two come from
    an arbitrary server: a value that cannot be stored, or sent back in a header, is dropped.
    """
    write(
        RAN,
        id=feed["id"],
        settings_at=feed["updated_at"],
        outcome=outcome,
        detail=detail[:2000].replace("\0", "\ufffd"),
        etag=_sendable(marks["etag"]),
        last_modified=_sendable(marks["last_modified"]),
        digest=marks["digest"],
    )


def _sendable(mark: str | None) -> str | None:
    is_sendable = mark is not None and len(mark) <= MAX_MARK_CHARACTERS and mark.isascii() and mark.isprintable()
    return mark if is_sendable else None


def mark_seen(
    connection: Connection, feed_id: int, import_id: int, rows: Sequence[ProductWrite], created: Sequence[int]
) -> list[int]:
    """Record that a feed's file contains these products, and return the ids of those that become visible again.

    A product hidden because it had vanished becomes visible again unless its row deactivates it.
    """
    ids = sorted({row.external_id for row in rows if row.external_id is not None})
    shown = [row.external_id for row in rows if "is_active" not in row.model_fields_set or row.is_active]
    execute(connection, SEEN, {"feed_id": feed_id, "import_id": import_id, "ids": ids, "created": list(created)})
    returned = execute(connection, RETURNED, {"feed_id": feed_id, "ids": ids, "shown": shown})
    return [int(row[0]) for row in returned]


def keep(connection: Connection, feed_id: int, import_id: int, external_ids: Sequence[str]) -> None:
    """Record that a feed's file also contains these products, although their rows were refused."""
    ids = sorted(set(_storable(external_ids)))
    execute(connection, STILL_THERE, {"feed_id": feed_id, "import_id": import_id, "ids": ids})


def hide_vanished(connection: Connection, feed_id: int, import_id: int, max_gone_share: float) -> Vanished:
    """Hide the feed's own products that its file no longer contains; none if more than ``max_gone_share`` are gone."""
    known, gone = execute(connection, GONE, {"feed_id": feed_id, "import_id": import_id})[0]
    hidden: list[int] = []
    if gone and gone <= max_gone_share * known:
        hidden = [int(row[0]) for row in execute(connection, HIDE, {"feed_id": feed_id, "import_id": import_id})]
    return Vanished(int(known), int(gone), hidden)


def hide_variants(connection: Connection, feed_id: int, groups: Sequence[str], kept: Sequence[str]) -> list[int]:
    """Hide the feed's own products of ``groups`` that are neither ``kept`` nor in another feed; return their ids."""
    parameters = {"feed_id": feed_id, "groups": _storable(groups), "kept": _storable(kept)}
    return [int(row[0]) for row in execute(connection, HIDE_VARIANTS, parameters)]


def _storable(ids: Iterable[str]) -> list[str]:
    """Return the ids that a product can have. PostgreSQL rejects any other text, even as a value to compare."""
    return [identifier for identifier in ids if escaped_text(identifier) == identifier]


def save_cursor(connection: Connection, feed: Mapping[str, Any], cursor: Mapping[str, Any]) -> None:
    """Store the position of a pull; ``feed`` is as ``due`` returned it. A feed changed since then starts over."""
    execute(
        connection,
        SAVE_CURSOR,
        {"id": feed["id"], "settings_at": feed["updated_at"], "cursor": orjson.dumps(cursor).decode()},
    )


def pulled(preset: str) -> tuple[int, dict[str, Any]] | None:
    """Return the id and cursor of the oldest active feed that is pulled with ``preset``, or None."""
    rows = read(PULLED, preset=preset)
    return (int(rows[0][0]), rows[0][1] or {}) if rows else None
