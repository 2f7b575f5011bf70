"""Answers that are the same for every user: read from Redis, or computed once and stored."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple, ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool

from shared.clients import closed_on_reset
from shared.clients.redis_async import RedisUnavailable, client
from shared.gates import COMPUTING, COMPUTING_TURNS
from shared.storage.answers import lookups
from shared.storage.answers.client_budget import BUDGET
from shared.storage.answers.epochs import begin_epoch
from shared.storage.answers.protocol import EPOCHS, epoch_prefix, valid_body

P = ParamSpec("P")
T = TypeVar("T")
_in_flight: dict[str, "asyncio.Future[bytes]"] = {}


class SharedAnswer(NamedTuple):
    """The body of an answer, and whether it was stored in Redis."""

    body: bytes
    is_hit: bool


async def cached(scope: str, key: str, *, ttl_s: int, compute: Callable[[], bytes]) -> SharedAnswer:
    """Return the valid stored answer of ``key``; otherwise run ``compute`` in a thread and store its result.

    While Redis is unavailable, every request computes its answer. Exceptions from ``compute`` propagate.
    """
    try:
        stored, epoch = await client().run(("GET", key), ("HGET", EPOCHS, scope))
        if epoch is None:
            epoch = await begin_epoch(scope)
    except RedisUnavailable:
        return SharedAnswer(await computed(compute), is_hit=False)
    prefix = epoch_prefix(epoch)
    body = valid_body(stored, epoch)
    lookups.count(body is not None)
    if body is not None:
        return SharedAnswer(body, is_hit=True)

    async def compute_and_store() -> bytes:
        body = await computed(compute)
        if not BUDGET.take(len(body)):
            return body
        with contextlib.suppress(RedisUnavailable):
            # Stored under the epoch read above, so that an answer computed across a flush is never valid.
            await client().run(("SET", key, prefix + body, "EX", ttl_s))
        return body

    return SharedAnswer(await _once(key, compute_and_store), is_hit=False)


async def computed(compute: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``compute`` in a thread and return its result. Raises Unavailable or RateLimited if too many are running."""
    with COMPUTING.admit():
        async with COMPUTING_TURNS.take():
            return await run_in_threadpool(compute, *args, **kwargs)


async def _once(key: str, compute: Callable[[], Awaitable[bytes]]) -> bytes:
    """Compute once for all concurrent requests of this process for ``key``."""
    future = _in_flight.get(key)
    if future is not None and not future.get_loop().is_closed() and future.get_loop() is asyncio.get_running_loop():
        return await asyncio.shield(future)
    future = asyncio.get_running_loop().create_future()
    _in_flight[key] = future
    try:
        body = await compute()
        future.set_result(body)
        return body
    except BaseException as error:
        future.set_exception(error)
        # Mark the exception as retrieved; with no other waiters, asyncio would log a warning.
        future.exception()
        raise
    finally:
        _in_flight.pop(key, None)


@closed_on_reset
def forget_computations() -> None:
    """Forget the computations in flight, whose event loop may be closed."""
    _in_flight.clear()
