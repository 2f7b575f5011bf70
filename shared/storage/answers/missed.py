"""Invalidations that Redis did not take: done later, so that an outage of Redis leaves no stale answer behind.

A process remembers what it could not drop and tries again every second; whatever it drops next carries the rest along.
For a process that ends before Redis is back, Postgres has the scopes: the next process that starts, and the job
``popular`` every minute, flush them.
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

# longer than any computation: an answer begun before the change must still find the number
GENERATION_TTL_S: Final = 3600
AGAIN_S: Final = 1.0
# Users and keys beyond this are not remembered one by one: their scope is flushed.
MAX_REMEMBERED: Final = 10_000
# A scope is recorded in Postgres again after this time, because another process may have flushed it meanwhile.
RECORD_AGAIN_S: Final = 10.0

RECORD: Final = "INSERT INTO missed_invalidations (scope) SELECT unnest(cast(:scopes AS text[])) RETURNING id"
RECORDED: Final = "SELECT id, scope FROM missed_invalidations ORDER BY id LIMIT 10000"
REMOVE: Final = "DELETE FROM missed_invalidations WHERE id = ANY(cast(:ids AS bigint[]))"


@dataclass
class Invalidation:
    """What is to be dropped: every answer of the scopes and of the users, the answers of single products, and keys."""

    scopes: set[str] = field(default_factory=set)
    user_ids: set[str] = field(default_factory=set)
    product_ids: set[int] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.scopes or self.user_ids or self.product_ids or self.keys)

    def add(self, other: "Invalidation") -> None:
        """Add what ``other`` drops; in place of very many users or products, their scope."""
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
        """Return the scopes that contain everything to be dropped, keys of no scope excepted."""
        return (
            self.scopes | ({RECOMMENDATIONS} if self.user_ids else set()) | ({PRODUCTS} if self.product_ids else set())
        )

    def run(self, redis: "Redis") -> bool:
        """Drop all of it in one round trip and return True."""
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
    """What this process could not drop, and the rows of Postgres that stand for it."""

    def __init__(self) -> None:
        self._waiting = Invalidation()
        self._lock = threading.Lock()
        self.again = Retry("missed invalidations", AGAIN_S, self._drop_waiting)
        # by scope, when it was recorded; and the ids of these rows
        self._recorded_at: dict[str, float] = {}
        self._rows: list[int] = []
        # whether this process has looked for what others left behind
        self._has_looked = False

    def drop(self, invalidation: Invalidation) -> bool:
        """Drop this, and all that waits; return False, and remember it, if Redis failed."""
        with self._lock:
            # Taken, not copied: what another thread adds meanwhile happened after this attempt and stays.
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
        """Let what could not be dropped wait for the thread."""
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
        """Forget everything: it belongs to another cache."""
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
    """Forget what waits to be dropped."""
    MISSED.forget()
