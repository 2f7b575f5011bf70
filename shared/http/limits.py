"""Rate limiting per client and function.

Each process counts locally and merges its counts with other instances through Redis, in the background, every second.
So no request waits for the limiter, and a client that uses several instances is limited within two seconds.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.errors import RateLimited
from shared.settings import settings

WINDOW_S = 60
SYNC_S = 1.0
PACE_BYTES_S = 1_048_576
PACE_BURST_BYTES = 1_048_576
PACE_WAIT_S = 5.0
# Above this many clients, those that are not ahead of their pace are forgotten.
PACE_CLIENTS = 10_000


@dataclass
class _Window:
    """Requests of one client in the current minute: those counted here since the last merge, and the merged total."""

    pending: int = 0
    total: int = 0


@dataclass
class Limiter:
    """Counts requests in fixed one-minute windows, as the header RateLimit-Policy announces."""

    name: str
    started: int = 0
    clients: dict[str, _Window] = field(default_factory=dict)
    synced_at: float = 0.0
    task: "asyncio.Task[None] | None" = None

    def take(self, client: str, cost: int = 1) -> tuple[int, int]:
        """Count a request as ``cost`` and return ``(remaining, seconds to the window's end)``; -1 means refused."""
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
        if seen.total + seen.pending + cost > limit:
            return -1, reset_s
        seen.pending += cost
        if now - self.synced_at > SYNC_S and settings().redis_url is not None:
            self.synced_at = now
            if self.task is None or self.task.done():
                self.task = asyncio.get_running_loop().create_task(self.merge())
        return limit - seen.total - seen.pending, reset_s

    def charge(self, client: str, cost: int) -> None:
        """Count a request's cost beyond what ``take`` counted; this reduces what remains for the next requests."""
        if (seen := self.clients.get(client)) is not None:
            seen.pending += cost

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


class Pace:
    """Paces the large bodies of one client, so that other clients get their turn in between.

    A client may send PACE_BYTES_S on average and PACE_BURST_BYTES at once. Faster bodies wait before they are read, at
    most PACE_WAIT_S seconds. Unlike the rate limit, this also applies if RATE_LIMIT_PER_MINUTE is 0.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        # Bytes by which each client is ahead of its pace, and when that was computed.
        self.clients: dict[str, tuple[float, float]] = {}

    def wait_s(self, client: str, size: int) -> float:
        """Return how many seconds a body of ``size`` bytes has to wait. Raises RateLimited if that is too long."""
        now = self.clock()
        if len(self.clients) > PACE_CLIENTS:
            self.clients = {
                name: (ahead, at) for name, (ahead, at) in self.clients.items() if ahead > (now - at) * PACE_BYTES_S
            }
        ahead, at = self.clients.get(client, (0.0, now))
        ahead = max(0.0, ahead - (now - at) * PACE_BYTES_S) + size
        wait = max(0.0, (ahead - PACE_BURST_BYTES) / PACE_BYTES_S)
        if wait > PACE_WAIT_S:
            raise RateLimited(
                "Too many large bodies in a short time; send smaller ones, or try again later.",
                headers={"Retry-After": str(int(PACE_WAIT_S))},
            )
        self.clients[client] = (ahead, now)
        return wait
