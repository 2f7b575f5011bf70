"""Dropping stored answers after a write. Each function returns False if Redis failed; the answers then expire."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from shared.clients import redis_sync
from shared.storage.answers.protocol import EPOCHS, SCOPES, generation_key, product_key, user_key

if TYPE_CHECKING:
    from redis import Redis

# longer than any computation: an answer begun before the change must still find the counter
GENERATION_TTL_S: Final = 3600


def flush(*scopes: str) -> bool:
    """Invalidate every stored answer of these scopes; without arguments, of all scopes."""

    def work(redis: "Redis") -> bool:
        pipeline = redis.pipeline(transaction=False)
        for scope in scopes or SCOPES:
            pipeline.hincrby(EPOCHS, scope, 1)
        pipeline.execute()
        return True

    return redis_sync.attempt(work, False)


def forget_users(user_ids: Iterable[str]) -> bool:
    """Drop every stored answer of these users, and prevent storing those being computed now."""

    def work(redis: "Redis") -> bool:
        pipeline = redis.pipeline(transaction=False)
        for user_id in user_ids:
            pipeline.incr(generation_key(user_id))
            pipeline.expire(generation_key(user_id), GENERATION_TTL_S)
            pipeline.delete(user_key(user_id))
        pipeline.execute()
        return True

    return redis_sync.attempt(work, False)


def forget_products(product_ids: Iterable[int]) -> bool:
    """Drop the stored answers that show one of these products alone."""
    keys = [product_key(product_id) for product_id in product_ids]
    return redis_sync.attempt(lambda redis: bool(redis.delete(*keys)) or True, False) if keys else True
