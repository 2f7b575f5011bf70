"""Answers that are stored as bytes: read from Redis with their epoch, computed once when they are not there."""

import asyncio
import contextlib
import zlib
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from shared.clients import closed_on_reset
from shared.clients.redis_async import AsyncRedis, RedisUnavailable
from shared.http import tally
from shared.settings import settings

Answer = bytes
_flights: dict[str, "asyncio.Future[bytes]"] = {}


@cache
def redis() -> AsyncRedis:
    """Return the process's asynchronous Redis client."""
    return AsyncRedis(settings().require("redis_url"), settings().redis_timeout_s, settings().redis_ca)


def etag_of(body: bytes) -> str:
    """Return the entity tag of these bytes. Weak: the same answer may travel compressed."""
    return f'W/"{zlib.crc32(body):08x}{len(body):x}"'


def matches(header: str | None, etag: str) -> bool:
    """Whether If-None-Match names this tag."""
    return header is not None and (header.strip() == "*" or etag in (tag.strip() for tag in header.split(",")))


def fresh(request: Request, body: bytes, *, max_age_s: int, public: bool = True) -> Response:
    """Return a JSON answer with its tag and lifetime, or 304 when the client has it already."""
    etag = etag_of(body)
    control = f"public, max-age={max_age_s}" if public and max_age_s else "private, no-cache"
    headers = {"ETag": etag, "Cache-Control": control}
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


async def single(key: str, compute: Callable[[], Awaitable[bytes]]) -> bytes:
    """Compute once for all requests of this process that ask for ``key`` at the same time."""
    flight = _flights.get(key)
    if flight is not None and not flight.get_loop().is_closed() and flight.get_loop() is asyncio.get_running_loop():
        return await asyncio.shield(flight)
    flight = asyncio.get_running_loop().create_future()
    _flights[key] = flight
    try:
        body = await compute()
        flight.set_result(body)
        return body
    except BaseException as error:
        flight.set_exception(error)
        # whoever waits gets it; nobody waiting is not worth a warning
        flight.exception()
        raise
    finally:
        _flights.pop(key, None)


async def cached(scope: str, key: str, *, ttl_s: int, compute: Callable[[], bytes]) -> Answer:
    """Return the stored answer of ``key`` if its epoch is the scope's; otherwise compute (in a thread) and store it.

    Redis away: computed each time, never wrong.
    """
    try:
        stored, epoch = await redis().run(("GET", key), ("HGET", "epochs", scope))
    except RedisUnavailable:
        return await run_in_threadpool(compute)
    prefix = (epoch or b"0") + b"\n"
    hit = stored is not None and stored.startswith(prefix)
    tally.count(hit)
    if hit:
        body: bytes = stored[len(prefix) :]
        return body

    async def work() -> bytes:
        computed = await run_in_threadpool(compute)
        with contextlib.suppress(RedisUnavailable):
            await redis().run(("SET", key, prefix + computed, "EX", ttl_s))
        return computed

    return await single(key, work)


@closed_on_reset
def close() -> None:
    """Drop the connection and forget the client."""
    if redis.cache_info().currsize:
        redis().close()
    redis.cache_clear()
    _flights.clear()


def dump(value: Any) -> bytes:
    """Return compact JSON."""
    import orjson

    return orjson.dumps(value)
