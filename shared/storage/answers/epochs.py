"""The first epoch of a scope, in a Redis that has none: it is new, or it lost the key."""

from shared.clients.redis_async import client
from shared.storage.answers.protocol import EPOCHS, fresh_number


async def begin_epoch(scope: str) -> bytes:
    """Give a scope a new epoch, unless another process has just done so, and return it. Raises RedisUnavailable."""
    _created, epoch = await client().run(("HSETNX", EPOCHS, scope, str(fresh_number())), ("HGET", EPOCHS, scope))
    return bytes(epoch)
