"""Issued and revoked API keys. Postgres is the source of truth; Redis caches the revoked ids."""

import asyncio
import contextlib
from datetime import datetime
from typing import Any, Final, NamedTuple

from shared.api_keys import Kind
from shared.clients.postgres import Connection, execute, read
from shared.clients.redis_async import RedisUnavailable
from shared.clients.redis_async import client as redis
from shared.errors import NotFound
from shared.settings import settings
from shared.storage.answers import invalidation

# Redis key of the ids of revoked API keys, separated by spaces.
REVOKED_KEY: Final = "api-keys:revoked"
# TTL of the cached copy, in seconds; a copy made while a key was being revoked may lack that key.
REVOKED_COPY_S: Final = 60

COLUMNS: Final = "id, kind, name, created_by, created_at, revoked_at"
ADD: Final = f"""
INSERT INTO api_keys (id, kind, name, created_by) VALUES (:id, :kind, :name, :created_by) RETURNING {COLUMNS}"""
LIST: Final = f"SELECT {COLUMNS} FROM api_keys ORDER BY created_at, id"
LOCK: Final = f"SELECT {COLUMNS} FROM api_keys WHERE id = :id FOR UPDATE"
REVOKE: Final = f"UPDATE api_keys SET revoked_at = now() WHERE id = :id RETURNING {COLUMNS}"
REVOKED: Final = "SELECT id FROM api_keys WHERE revoked_at IS NOT NULL"


class StoredKey(NamedTuple):
    """A row of ``api_keys``."""

    id: str
    kind: Kind
    name: str
    created_by: str
    created_at: datetime
    revoked_at: datetime | None


def add(connection: Connection, key_id: str, kind: Kind, name: str, actor: str) -> StoredKey:
    """Record a new key."""
    values: dict[str, Any] = {"id": key_id, "kind": kind, "name": name, "created_by": actor}
    return StoredKey(*execute(connection, ADD, values)[0])


def list_keys() -> list[StoredKey]:
    """Return every key, oldest first."""
    return [StoredKey(*row) for row in read(LIST)]


def revoke(connection: Connection, key_id: str) -> tuple[StoredKey, StoredKey] | None:
    """Revoke a key and return it before and after; None if it was already revoked. Raises NotFound."""
    rows = execute(connection, LOCK, {"id": key_id})
    if not rows:
        raise NotFound(f"There is no API key {key_id}; GET /admin/api-keys lists them.")
    before = StoredKey(*rows[0])
    if before.revoked_at is not None:
        return None
    return before, StoredKey(*execute(connection, REVOKE, {"id": key_id})[0])


def drop_revoked_copy() -> None:
    """Drop the cached copy in Redis after a key was revoked."""
    invalidation.forget_keys([REVOKED_KEY])


async def revoked_ids() -> frozenset[str] | None:
    """Return the ids of the revoked keys from Redis or, failing that, from Postgres.

    Returns None in a function that uses neither. Raises DatabaseUnavailable.
    """
    config = settings()
    if config.redis_url is not None:
        try:
            (copy,) = await redis().run(("GET", REVOKED_KEY))
        except RedisUnavailable:
            copy = None
        if copy is not None:
            return frozenset(copy.decode().split())
    if config.database_url is None and config.cloud_sql_instance is None:
        return None
    ids = frozenset(row[0] for row in await asyncio.to_thread(read, REVOKED))
    if config.redis_url is not None:
        with contextlib.suppress(RedisUnavailable):
            await redis().run(("SET", REVOKED_KEY, " ".join(sorted(ids)), "EX", REVOKED_COPY_S))
    return ids
