"""Redis as functions and jobs use it outside the hot path: keys, epochs, invalidation. A failure is bypassed.

An answer is stored behind the epoch of its scope (``epoch + b"\\n" + body``) and counts only while the scope's epoch in
the hash ``epochs`` is the same: flushing a scope or activating a model is one HINCRBY, on every instance at once, and
old answers age out. No KEYS, no SCAN.

* ``rec:{user}`` hash of the user's answers by query; dropped whole by ``forget_user``
* ``recgen:{user}`` counts the user's changes, so that an answer computed before one is not stored after it
* ``sim:…`` ``trending:…`` ``admin:dashboard`` answers
* ``popular`` sorted set of product ids by purchases; ``popular:products`` hash of their JSON
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from shared.clients import closed_on_reset
from shared.settings import settings

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger(__name__)
T = TypeVar("T")

EPOCHS: Final = "epochs"
# answers that show products
PRODUCT_SCOPES: Final = ("products", "similar", "recommendations", "trending")
SCOPES: Final = ("recommendations", "similar", "trending", "dashboard", "products")
POPULAR: Final = "popular"
POPULAR_PRODUCTS: Final = "popular:products"
GENERATION_TTL_S: Final = 3600


@cache
def client() -> "Redis":
    """Return the process's Redis client. Imported on first use: a cached answer does not pay for it."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    timeout_s = settings().redis_timeout_s
    url = settings().require("redis_url")
    # the certificates of Memorystore's own authority name no address (redis_async.py)
    trust = {"ssl_ca_data": settings().redis_ca, "ssl_check_hostname": False} if settings().redis_ca else {}
    return Redis.from_url(
        url,
        **(trust if url.startswith("rediss:") else {}),
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
    """Return what ``work`` returns, or ``otherwise`` after logging that Redis failed."""
    from redis.exceptions import RedisError

    try:
        return work(client())
    except (RedisError, OSError) as error:
        log.warning("redis bypassed", extra={"error": str(error) or type(error).__name__})
        return otherwise


def user_key(user_id: str) -> str:
    """Return the key of the hash of a user's answers."""
    return f"rec:{user_id}"


def generation_key(user_id: str) -> str:
    """Return the key that counts a user's changes."""
    return f"recgen:{user_id}"


def product_key(product_id: int) -> str:
    """Return the key of the stored answer that shows one product."""
    return f"products:one:{product_id}"


def forget_users(user_ids: Iterable[str]) -> bool:
    """Drop every cached answer of these users; False when Redis was away (answers then age out)."""

    def work(redis: "Redis") -> bool:
        pipeline = redis.pipeline(transaction=False)
        for user_id in user_ids:
            pipeline.incr(generation_key(user_id))
            pipeline.expire(generation_key(user_id), GENERATION_TTL_S)
            pipeline.delete(user_key(user_id))
        pipeline.execute()
        return True

    return attempt(work, False)


def flush(*scopes: str) -> bool:
    """Make every stored answer of these scopes (all of them: none named) invalid; False when Redis was away."""

    def work(redis: "Redis") -> bool:
        pipeline = redis.pipeline(transaction=False)
        for scope in scopes or SCOPES:
            pipeline.hincrby(EPOCHS, scope, 1)
        pipeline.execute()
        return True

    return attempt(work, False)


def forget_products(product_ids: Iterable[int]) -> bool:
    """Drop the stored answers of single products; False when Redis was away (they then age out)."""
    keys = [product_key(product_id) for product_id in product_ids]
    return attempt(lambda redis: bool(redis.delete(*keys)) or True, False) if keys else True


def ping() -> bool:
    """Whether Redis answers."""
    return attempt(lambda redis: bool(redis.ping()), False)


def publish_popular(rows: list[tuple[int, int, bytes]]) -> bool:
    """Replace the live popular ranking by ``(product_id, purchase_count, product JSON)`` rows, in one transaction."""

    def work(redis: "Redis") -> bool:
        pipeline = redis.pipeline(transaction=True)
        pipeline.delete(POPULAR, POPULAR_PRODUCTS)
        if rows:
            scores: Any = {product_id: count for product_id, count, _body in rows}
            bodies: Any = {product_id: body for product_id, _count, body in rows}
            pipeline.zadd(POPULAR, scores)
            pipeline.hset(POPULAR_PRODUCTS, mapping=bodies)
            # outlives a long outage of Postgres: this is what is shown then
            pipeline.expire(POPULAR, 86_400)
            pipeline.expire(POPULAR_PRODUCTS, 86_400)
        pipeline.execute()
        return True

    return attempt(work, False)


def count_purchases(counts: Iterable[tuple[int, int]]) -> bool:
    """Add purchases to the products of the live ranking that are in it; the popular job brings in the others."""

    def work(redis: "Redis") -> bool:
        pipeline = redis.pipeline(transaction=False)
        for product_id, count in counts:
            pipeline.zadd(POPULAR, {str(product_id): count}, incr=True, xx=True)
        pipeline.execute()
        return True

    return attempt(work, False)


def show_popular(products: Mapping[int, bytes | None]) -> bool:
    """Renew the products that are in the live ranking by their JSON; take out those that are None, no longer shown."""

    def work(redis: "Redis") -> bool:
        ids = list(products)
        present = redis.hmget(POPULAR_PRODUCTS, [str(product_id) for product_id in ids]) if ids else []
        pipeline = redis.pipeline(transaction=True)
        for product_id, stored in zip(ids, present, strict=True):
            body = products[product_id]
            if body is None:
                pipeline.zrem(POPULAR, str(product_id))
                pipeline.hdel(POPULAR_PRODUCTS, str(product_id))
            elif stored is not None and stored != body:
                pipeline.hset(POPULAR_PRODUCTS, str(product_id), body)
        pipeline.execute()
        return True

    return attempt(work, False)
