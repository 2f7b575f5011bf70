"""A user's personal answers: one Redis hash per user with a field per query, so that one DEL drops all of them.

The field is the raw query string. An answer is stored only after its query has been validated, so a hit needs no
validation. Each answer is stored twice, plain and gzipped (field ``z:`` + query), with its request (field ``r:`` +
query), from which it can be recomputed ahead of the next request (answers_ahead.py). The hash has at most MAX_FIELDS
fields and expires recommendation_ttl_s after its first answer.
"""

import gzip
import logging
from typing import Final, NamedTuple

from shared.clients.redis_async import RedisUnavailable, client
from shared.settings import settings
from shared.storage.answers import lookups
from shared.storage.answers.client_budget import BUDGET
from shared.storage.answers.epochs import begin_epoch
from shared.storage.answers.protocol import (
    EPOCHS,
    GZIPPED_FIELD,
    RECOMMENDATIONS,
    REQUEST_FIELD,
    epoch_prefix,
    generation_key,
    user_key,
    valid_body,
)

log = logging.getLogger(__name__)

MAX_QUERY_BYTES: Final = 512
# Three fields for each of 16 answers.
MAX_FIELDS: Final = 48
GZIP_FROM_BYTES: Final = 1024

# Stores an answer only if the user's generation (KEYS[2]) is still ARGV[1], its value before the computation. A full
# hash is emptied first. The TTL counts from the first answer, so that no answer outlives it.
STORE: Final = """
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 0 end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return 1
"""


class Before(NamedTuple):
    """What Redis held before an answer was computed; ``body`` is a valid stored answer, or None."""

    body: bytes | None
    epoch_prefix: bytes
    generation: bytes


async def find(user_id: str, query: bytes, *, gzipped: bool) -> bytes | None:
    """Return the valid stored body of a raw query string; None if there is none or Redis is unavailable.

    With ``gzipped``, bodies of at least GZIP_FROM_BYTES are gzip data; shorter ones are plain. Counts hits and misses.
    """
    try:
        stored, epoch = await client().run(
            ("HGET", user_key(user_id), GZIPPED_FIELD + query if gzipped else query), ("HGET", EPOCHS, RECOMMENDATIONS)
        )
    except RedisUnavailable:
        return None
    body = valid_body(stored, epoch)
    lookups.count(body is not None)
    return body


async def read_before_computing(user_id: str, query: bytes) -> Before | None:
    """Return a stored answer, or what ``store`` needs to store a new one; None if Redis is unavailable."""
    try:
        stored, epoch, generation = await client().run(
            ("HGET", user_key(user_id), query), ("HGET", EPOCHS, RECOMMENDATIONS), ("GET", generation_key(user_id))
        )
        if epoch is None:
            epoch = await begin_epoch(RECOMMENDATIONS)
    except RedisUnavailable:
        return None
    return Before(valid_body(stored, epoch), epoch_prefix(epoch), generation or b"")


def fields_of(query: bytes, request: bytes, body: bytes, prefix: bytes) -> tuple[bytes, ...]:
    """Return the fields and values of an answer, alternating as HSET expects."""
    gzipped = gzip.compress(body, 5, mtime=0) if len(body) >= GZIP_FROM_BYTES else body
    return query, prefix + body, GZIPPED_FIELD + query, prefix + gzipped, REQUEST_FIELD + query, request


async def store(user_id: str, query: bytes, request: bytes, body: bytes, before: Before) -> None:
    """Store an answer and its request, unless the user has acted since ``before`` or the client's budget is used up.

    It is stored under the epoch of ``before``: if the scope was flushed in the meantime, the answer is not valid.
    """
    if len(query) > MAX_QUERY_BYTES:
        return
    fields = fields_of(query, request, body, before.epoch_prefix)
    if not BUDGET.take(sum(map(len, fields[1::2]))):
        return
    try:
        await client().run(
            (
                "EVAL",
                STORE,
                2,
                user_key(user_id),
                generation_key(user_id),
                before.generation,
                settings().recommendation_ttl_s,
                MAX_FIELDS,
                *fields,
            )
        )
    except RedisUnavailable:
        log.debug("answer not stored")
