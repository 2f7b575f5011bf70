"""The synchronous Redis client for event functions, jobs and admin routes, independent of any key."""

import logging
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from shared.clients import closed_on_reset
from shared.settings import settings
from shared.telemetry import spans

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger(__name__)
T = TypeVar("T")


@cache
def client() -> "Redis":
    """Return the process's client. redis-py is imported on first use: a stored answer never waits for the import."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    timeout_s = settings().redis_timeout_s
    url = settings().require("redis_url")
    # Memorystore's own authority issues certificates without a host name (redis_async.py)
    tls = {"ssl_ca_data": settings().redis_ca, "ssl_check_hostname": False} if settings().redis_ca else {}
    return Redis.from_url(
        url,
        **(tls if url.startswith("rediss:") else {}),
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 1),
        health_check_interval=0,
        protocol=2,
    )


@closed_on_reset
def close() -> None:
    """Close the client and forget it."""
    if client.cache_info().currsize:
        client().close()
    client.cache_clear()


def attempt(work: Callable[["Redis"], T], otherwise: T) -> T:
    """Return the result of ``work``; if Redis fails, log a warning and return ``otherwise``."""
    from redis.exceptions import RedisError

    try:
        with spans.database_call("redis", "commands"):
            return work(client())
    except (RedisError, OSError) as error:
        log.warning("redis bypassed", extra={"error": str(error) or type(error).__name__})
        return otherwise


def ping() -> bool:
    """Return whether Redis responds."""
    return attempt(lambda redis: bool(redis.ping()), False)
