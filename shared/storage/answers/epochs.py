"""The first epoch of a scope, for a Redis that has none because it is new or has lost the key."""

from shared.clients.redis_async import client
from shared.storage.answers.protocol import EPOCHS, fresh_number


async def begin_epoch(scope: str) -> bytes:
    """Give a scope a new epoch, unless another process has just done so, and return it. Raises RedisUnavailable."""
    _created, epoch = await client().run(("HSETNX", EPOCHS, scope, str(fresh_number())), ("HGET", EPOCHS, scope))
    return bytes(epoch)
