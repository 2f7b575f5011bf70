"""Precomputed answers: find the outdated ones and store their replacements.

Used by jobs, so Redis is reached by its synchronous client.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.clients import redis_sync
from shared.settings import settings
from shared.storage.answers.protocol import (
    EPOCHS,
    RECOMMENDATIONS,
    REQUEST_FIELD,
    epoch_prefix,
    generation_key,
    user_key,
)
from shared.storage.answers.user_answers import fields_of

if TYPE_CHECKING:
    from redis import Redis

# Maximum number of answers precomputed per user; most shops show one or two.
QUERIES_MAX: Final = 4

# Returns the raw query string of each of a user's outdated answers, followed by its request. The answers themselves are
# large and are not transferred. A valid answer begins with ARGV[1], the field name of a request with ARGV[2].
FIND: Final = """
local stored, answers, found = redis.call('HGETALL', KEYS[1]), {}, {}
for place = 1, #stored, 2 do answers[stored[place]] = stored[place + 1] end
for field, request in pairs(answers) do
    if string.sub(field, 1, #ARGV[2]) == ARGV[2] then
        local query = string.sub(field, #ARGV[2] + 1)
        if string.sub(answers[query] or '', 1, #ARGV[1]) ~= ARGV[1] then
            table.insert(found, query)
            table.insert(found, request)
        end
    end
end
return found
"""
# As in user_answers, nothing is stored if the user's generation (KEYS[2]) is no longer ARGV[1]. A valid answer, which
# begins with ARGV[3], is not replaced. The TTL is set only if the hash holds no valid answer or has no TTL.
STORE: Final = """
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 0 end
local stored = redis.call('HGET', KEYS[1], ARGV[4]) or ''
if string.sub(stored, 1, #ARGV[3]) == ARGV[3] then return 0 end
local others = false
for _, value in ipairs(redis.call('HVALS', KEYS[1])) do
    if string.sub(value, 1, #ARGV[3]) == ARGV[3] then others = true break end
end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
if not others or redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return 1
"""


class Outdated(NamedTuple):
    """A user with outdated answers: ``requests`` by raw query string, and what ``store`` needs to replace them."""

    user_id: str
    requests: dict[bytes, bytes]
    epoch_prefix: bytes
    generation: bytes


def find_outdated(user_ids: Sequence[str]) -> list[Outdated]:
    """Return those of these users who have stored answers that a flush has invalidated, in the same order.

    The list is empty if Redis is unavailable or has no epoch yet.
    """

    def work(redis: "Redis") -> list[Outdated]:
        pipeline = redis.pipeline(transaction=False)
        pipeline.hget(EPOCHS, RECOMMENDATIONS)
        (epoch,) = pipeline.execute()
        if epoch is None:
            return []
        prefix = epoch_prefix(epoch)
        for user_id in user_ids:
            pipeline.get(generation_key(user_id))
            pipeline.eval(FIND, 1, user_key(user_id), prefix, REQUEST_FIELD)
        answers = pipeline.execute()
        found = []
        for user_id, generation, stored in zip(user_ids, answers[::2], answers[1::2], strict=True):
            requests = sorted(zip(stored[::2], stored[1::2], strict=True))
            if requests:
                found.append(Outdated(user_id, dict(requests[:QUERIES_MAX]), prefix, generation or b""))
        return found

    return redis_sync.attempt(work, [])


def is_current(outdated: Outdated) -> bool:
    """Return whether the user has neither acted nor been erased since ``find_outdated``."""
    key = generation_key(outdated.user_id)
    return redis_sync.attempt(lambda redis: (redis.get(key) or b"") == outdated.generation, False)


def store(outdated: Outdated, query: bytes, request: bytes, body: bytes) -> bool:
    """Store a precomputed answer; return False if the user has acted since or already has a valid answer.

    It is stored under the epoch that ``find_outdated`` read, so another flush in between makes it invalid.
    """

    def work(redis: "Redis") -> bool:
        stored = redis.eval(
            STORE,
            2,
            user_key(outdated.user_id),
            generation_key(outdated.user_id),
            outdated.generation,
            settings().recommendation_ttl_s,
            outdated.epoch_prefix,
            *fields_of(query, request, body, outdated.epoch_prefix),
        )
        return bool(stored)

    return redis_sync.attempt(work, False)
