"""The revoked API keys known to this process, refreshed in the background while requests present keys.

A revoked key is refused within MAX_DELAY_S seconds. A function with neither Redis nor Postgres (``events``) never
learns of revocations; there, a key becomes invalid when API_MAC_KEYS is rotated.
"""

import asyncio
import logging
import time
from typing import Final

from shared.clients import closed_on_reset
from shared.errors import AppError

log = logging.getLogger(__name__)

SYNC_S: Final = 10.0
# A copy in Redis may be a minute old (shared/storage/operations/api_keys.py).
MAX_DELAY_S: Final = 70
# The first request with a key waits at most this many seconds for the ids: if Redis and Postgres are slow, the shop
# continues without them.
FIRST_WAIT_S: Final = 1.0


class _Revocations:
    def __init__(self) -> None:
        self.ids: frozenset[str] = frozenset()
        self.known = False
        self.synced_at = float("-inf")
        self.task: asyncio.Task[None] | None = None

    async def sync(self) -> None:
        from shared.storage.operations.api_keys import revoked_ids

        try:
            ids = await revoked_ids()
        except AppError as error:
            # The ids already known stay in force.
            log.warning("revoked API keys not read", extra={"error": str(error)})
        else:
            self.ids = ids or frozenset()
            self.known = True


_state = _Revocations()


def refresh() -> None:
    """Start reading the revoked ids unless they were read in the last SYNC_S seconds. Needs a running event loop."""
    now = time.monotonic()
    if now - _state.synced_at < SYNC_S:
        return
    loop = asyncio.get_running_loop()
    if _state.task is None or _state.task.done() or _state.task.get_loop() is not loop:
        _state.synced_at = now
        _state.task = loop.create_task(_state.sync())


def is_known() -> bool:
    """Return whether the revoked ids have been read at least once."""
    return _state.known


async def first_read() -> None:
    """Wait at most FIRST_WAIT_S seconds until the revoked ids have been read once."""
    task = _state.task
    if not _state.known and task is not None and task.get_loop() is asyncio.get_running_loop():
        await asyncio.wait({task}, timeout=FIRST_WAIT_S)


def is_revoked(key_id: str) -> bool:
    """Return whether the key is known to be revoked."""
    return key_id in _state.ids


@closed_on_reset
def close() -> None:
    """Forget everything, so that the next request reads the ids again."""
    global _state
    _state = _Revocations()
