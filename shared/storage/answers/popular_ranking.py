"""The live ranking by purchases. ``update_popularity`` increments it; the job ``popular`` replaces it every minute."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from shared.clients import redis_sync
from shared.clients.redis_async import RedisUnavailable, client
from shared.domain.ranking import one_of_each
from shared.storage.answers.invalidation import forget_keys
from shared.storage.answers.protocol import POPULAR, POPULAR_PRODUCTS

if TYPE_CHECKING:
    from redis import Redis

# Seconds. Long enough to outlast a Postgres outage, during which every user is shown this ranking.
TTL_S: Final = 86_400


async def top(k: int) -> list[tuple[dict[str, Any], float]]:
    """Return up to ``k`` ``(product, purchases)``, most purchases first; empty while Redis is unavailable.

    Sold-out products come last.
    """
    try:
        products = await _read(k - 1)
        chosen = _best(products, k)
        if any(_is_sold_out(product) for product, _ in products) or len(chosen) < len(products):
            # Read the whole ranking to find enough products in stock, and of different groups; most requests need not.
            chosen = _best(await _read(-1), k)
    except RedisUnavailable:
        return []
    return chosen


def _best(products: list[tuple[dict[str, Any], float]], k: int) -> list[tuple[dict[str, Any], float]]:
    """Return the first ``k`` of ``products``: those in stock before the sold-out ones, and one variant per group."""
    ordered = sorted(products, key=lambda entry: _is_sold_out(entry[0]))
    # The job stores one variant per group, but a product may have joined a group since its last run.
    groups = {product["id"]: product["item_group_id"] for product, _ in ordered if product.get("item_group_id")}
    return one_of_each(ordered, groups, lambda entry: int(entry[0]["id"]))[:k]


async def _read(last: int) -> list[tuple[dict[str, Any], float]]:
    """Return the ranking up to and including position ``last``, from 0; -1 means all. Raises RedisUnavailable."""
    (ranking,) = await client().run(("ZREVRANGE", POPULAR, 0, last, "WITHSCORES"))
    if not ranking:
        return []
    (bodies,) = await client().run(("HMGET", POPULAR_PRODUCTS, *ranking[::2]))
    return [
        (orjson.loads(body), float(purchases))
        for body, purchases in zip(bodies, ranking[1::2], strict=True)
        if body is not None
    ]


def _is_sold_out(product: Mapping[str, Any]) -> bool:
    return bool(product.get("quantity", 1) <= 0)


def replace(rows: list[tuple[int, int, bytes]]) -> bool:
    """Atomically replace the ranking with ``(product_id, purchases, product JSON)`` rows; False if Redis failed."""

    def work(redis: "Redis") -> bool:
        pipeline = redis.pipeline(transaction=True)
        pipeline.delete(POPULAR, POPULAR_PRODUCTS)
        if rows:
            scores: Any = {product_id: purchases for product_id, purchases, _body in rows}
            bodies: Any = {product_id: body for product_id, _purchases, body in rows}
            pipeline.zadd(POPULAR, scores)
            pipeline.hset(POPULAR_PRODUCTS, mapping=bodies)
            pipeline.expire(POPULAR, TTL_S)
            pipeline.expire(POPULAR_PRODUCTS, TTL_S)
        pipeline.execute()
        return True

    return redis_sync.attempt(work, False)


def count_purchases(counts: Iterable[tuple[int, int]]) -> bool:
    """Add ``(product_id, purchases)`` to the counts of products already in the ranking; False if Redis failed.

    The next run of the job ``popular`` adds the other products.
    """

    def work(redis: "Redis") -> bool:
        pipeline = redis.pipeline(transaction=False)
        for product_id, purchases in counts:
            pipeline.zadd(POPULAR, {str(product_id): purchases}, incr=True, xx=True)
        pipeline.execute()
        return True

    return redis_sync.attempt(work, False)


def refresh_products(products: Mapping[int, bytes | None]) -> bool:
    """Update the JSON of products in the ranking and remove inactive ones (None); False if Redis failed.

    The ranking is then dropped as soon as Redis is back: the next run of the job ``popular`` writes it anew.
    """

    def work(redis: "Redis") -> bool:
        fields = [str(product_id) for product_id in products]
        stored = redis.hmget(POPULAR_PRODUCTS, fields) if fields else []
        pipeline = redis.pipeline(transaction=True)
        for field, old, new in zip(fields, stored, products.values(), strict=True):
            if new is None:
                pipeline.zrem(POPULAR, field)
                pipeline.hdel(POPULAR_PRODUCTS, field)
            elif old is not None and old != new:
                pipeline.hset(POPULAR_PRODUCTS, field, new)
        pipeline.execute()
        return True

    return redis_sync.attempt(work, False) or forget_keys((POPULAR, POPULAR_PRODUCTS))
