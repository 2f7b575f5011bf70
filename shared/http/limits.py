"""Rate limiting per client and function.

Each process counts for itself and merges its counts with other instances through Redis, in the background, every
second. So no request waits for the limiter, and a client that spreads over instances is limited within two seconds.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.settings import settings

WINDOW_S = 60
SYNC_S = 1.0


@dataclass
class _Window:
    """Requests of one client in the current minute: counted here since the last merge, and the merged total."""

    pending: int = 0
    total: int = 0


@dataclass
class Limiter:
    """Counts requests in fixed windows of a minute, as the header RateLimit-Policy announces."""

    name: str
    started: int = 0
    clients: dict[str, _Window] = field(default_factory=dict)
    synced_at: float = 0.0
    task: "asyncio.Task[None] | None" = None

    def take(self, client: str) -> tuple[int, int]:
        """Count a request and return ``(remaining, seconds to the window's end)``; -1 remaining means refused."""
        limit = settings().rate_limit_per_minute
        now = time.time()
        window = int(now) // WINDOW_S
        if window != self.started:
            self.started = window
            self.clients.clear()
        reset_s = WINDOW_S - int(now) % WINDOW_S
        if limit == 0:
            return 1, reset_s
        seen = self.clients.get(client)
        if seen is None:
            seen = self.clients[client] = _Window()
        if seen.total + seen.pending >= limit:
            return -1, reset_s
        seen.pending += 1
        if now - self.synced_at > SYNC_S and settings().redis_url is not None:
            self.synced_at = now
            if self.task is None or self.task.done():
                self.task = asyncio.get_running_loop().create_task(self.merge())
        return limit - seen.total - seen.pending, reset_s

    async def merge(self) -> None:
        """Add this instance's counts to Redis and read the totals of all instances."""
        from shared.clients.redis_async import RedisUnavailable
        from shared.clients.redis_async import client as redis

        window = self.started
        pending: Mapping[str, int] = {client: seen.pending for client, seen in self.clients.items() if seen.pending}
        if not pending:
            return
        commands: list[tuple[str | bytes | int | float, ...]] = []
        for client, count in pending.items():
            key = f"rate:{self.name}:{window}:{client}"
            commands += [("INCRBY", key, count), ("EXPIRE", key, 2 * WINDOW_S)]
        try:
            replies = await redis().run(*commands)
        except RedisUnavailable:
            return
        if window != self.started:
            return
        for (client, count), total in zip(pending.items(), replies[::2], strict=True):
            seen = self.clients[client]
            seen.pending -= count
            seen.total = int(total)
