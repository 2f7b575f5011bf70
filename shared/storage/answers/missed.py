"""Failed invalidations, retried so that a Redis outage leaves no stale answers behind.

A process remembers what it could not drop and retries every second, or together with its next invalidation. In case
the process exits before Redis is back, the scopes are also recorded in Postgres: the next process to start and the job
``popular``, which runs every minute, flush them.
"""

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from shared.clients import closed_on_reset, redis_sync
from shared.clients.postgres import read, write
from shared.errors import AppError
from shared.retrying import Retry
from shared.storage.answers.protocol import (
    EPOCHS,
    PRODUCTS,
    RECOMMENDATIONS,
    fresh_number,
    generation_key,
    product_key,
    user_key,
)

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger(__name__)

# Longer than any computation: an answer whose computation began before the change must still see the new generation.
GENERATION_TTL_S: Final = 3600
AGAIN_S: Final = 1.0
# Beyond this many, users and products are not remembered individually; their whole scope is flushed.
MAX_REMEMBERED: Final = 10_000
# Seconds after which a scope is recorded in Postgres again, because another process may have flushed it in between.
RECORD_AGAIN_S: Final = 10.0

RECORD: Final = "INSERT INTO missed_invalidations (scope) SELECT unnest(cast(:scopes AS text[])) RETURNING id"
RECORDED: Final = "SELECT id, scope FROM missed_invalidations ORDER BY id LIMIT 10000"
REMOVE: Final = "DELETE FROM missed_invalidations WHERE id = ANY(cast(:ids AS bigint[]))"


@dataclass
class Invalidation:
    """What to drop: all answers of the scopes and of the users, the answers of single products, and single keys."""

    scopes: set[str] = field(default_factory=set)
    user_ids: set[str] = field(default_factory=set)
    product_ids: set[int] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.scopes or self.user_ids or self.product_ids or self.keys)

    def add(self, other: "Invalidation") -> None:
        """Add what ``other`` drops; beyond MAX_REMEMBERED users or products, add their scope instead."""
        self.scopes |= other.scopes
        self.user_ids |= other.user_ids
        self.product_ids |= other.product_ids
        self.keys |= other.keys
        if len(self.user_ids) > MAX_REMEMBERED:
            self.scopes.add(RECOMMENDATIONS)
            self.user_ids.clear()
        if len(self.product_ids) > MAX_REMEMBERED:
            self.scopes.add(PRODUCTS)
            self.product_ids.clear()

    def all_scopes(self) -> set[str]:
        """Return the scopes that cover everything to be dropped, except keys that belong to no scope."""
        return (
            self.scopes | ({RECOMMENDATIONS} if self.user_ids else set()) | ({PRODUCTS} if self.product_ids else set())
        )

    def run(self, redis: "Redis") -> bool:
        """Drop everything in one round trip and return True."""
        pipeline = redis.pipeline(transaction=False)
        for scope in self.scopes:
            pipeline.hset(EPOCHS, scope, str(fresh_number()))
        for user_id in self.user_ids:
            pipeline.set(generation_key(user_id), str(fresh_number()), ex=GENERATION_TTL_S)
            pipeline.delete(user_key(user_id))
        keys = [*self.keys, *map(product_key, self.product_ids)]
        if keys:
            pipeline.delete(*keys)
        pipeline.execute()
        return True


class _Missed:
    """What this process could not drop, and the Postgres rows that record it."""

    def __init__(self) -> None:
        self._waiting = Invalidation()
        self._lock = threading.Lock()
        self.again = Retry("missed invalidations", AGAIN_S, self._drop_waiting)
        # When each scope was recorded, and the ids of those rows.
        self._recorded_at: dict[str, float] = {}
        self._rows: list[int] = []
        # whether this process has looked for what others left behind
        self._has_looked = False

    def drop(self, invalidation: Invalidation) -> bool:
        """Drop this and everything pending. If Redis fails, remember it and return False."""
        with self._lock:
            # Moved, not copied: what another thread adds from now on is not part of this attempt and stays pending.
            attempted, self._waiting = self._waiting, Invalidation()
            attempted.add(invalidation)
        if not attempted:
            return True
        is_dropped = False
        try:
            is_dropped = redis_sync.attempt(attempted.run, False)
        finally:
            if not is_dropped:
                self._keep(attempted)
        if not is_dropped:
            self._record(attempted.all_scopes())
            return False
        self._remove_rows()
        if not self._has_looked:
            self._has_looked = True
            self.flush_recorded()
        return True

    def _keep(self, attempted: Invalidation) -> None:
        """Keep what could not be dropped for the retry thread."""
        with self._lock:
            self._waiting.add(attempted)
        self.again.start()

    def flush_recorded(self) -> int:
        """Flush the scopes that other processes recorded and did not drop; return how many. Failures are logged."""
        try:
            rows = read(RECORDED)
            scopes = {str(row[1]) for row in rows}
            if not scopes or not redis_sync.attempt(Invalidation(scopes).run, False):
                return 0
            write(REMOVE, ids=[int(row[0]) for row in rows])
        except Exception as error:  # noqa: BLE001 — the rows are changed: nothing here may fail the request
            log.warning("missed invalidations not read", extra={"error": _reason(error)})
            return 0
        log.info("missed invalidations made up for", extra={"scopes": sorted(scopes)})
        return len(scopes)

    def _record(self, scopes: Iterable[str]) -> None:
        now = time.monotonic()
        due = [scope for scope in scopes if now - self._recorded_at.get(scope, float("-inf")) > RECORD_AGAIN_S]
        if not due:
            return
        try:
            rows = write(RECORD, scopes=due)
        except Exception as error:  # noqa: BLE001 — the rows are changed: nothing here may fail the request
            log.warning("missed invalidation not recorded", extra={"error": _reason(error)})
            return
        with self._lock:
            self._rows += [int(row[0]) for row in rows]
            self._recorded_at.update(dict.fromkeys(due, now))

    def _remove_rows(self) -> None:
        with self._lock:
            if self._waiting or not self._rows:
                return
            rows, self._rows = self._rows, []
            self._recorded_at.clear()
        try:
            write(REMOVE, ids=rows)
        except Exception as error:  # noqa: BLE001 — the rows are changed: nothing here may fail the request
            # the job flushes these scopes once more, which is harmless
            log.warning("missed invalidations not removed", extra={"error": _reason(error)})

    def _drop_waiting(self) -> bool:
        self.drop(Invalidation())
        with self._lock:
            return bool(self._waiting)

    def forget(self) -> None:
        """Forget everything, which belongs to the previous cache."""
        self.again.stop()
        with self._lock:
            self._waiting = Invalidation()
            self._recorded_at.clear()
            self._rows.clear()
            self._has_looked = False


def _reason(error: Exception) -> str:
    return error.detail if isinstance(error, AppError) else type(error).__name__


MISSED: Final = _Missed()


@closed_on_reset
def forget() -> None:
    """Forget all pending invalidations."""
    MISSED.forget()
