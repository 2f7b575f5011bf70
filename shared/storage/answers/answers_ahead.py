"""Answers that are computed before they are requested: which are outdated, and storing them anew.

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

# answers of a user that are computed ahead; most shops show one or two
QUERIES_MAX: Final = 4

# The raw query strings of a user's outdated answers, each followed by its request: the answers themselves, which are
# large, stay where they are. A valid answer begins with ARGV[1], the field of a request with ARGV[2].
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
# As in user_answers, nothing is stored if the user's generation (KEYS[2]) is no longer ARGV[1]. A valid answer of the
# user's own request (its epoch is ARGV[3]) stays, and so does its time to live; otherwise the time begins now.
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
    """A user with outdated answers: raw query string → request, and what storing new ones needs."""

    user_id: str
    requests: dict[bytes, bytes]
    epoch_prefix: bytes
    generation: bytes


def find_outdated(user_ids: Sequence[str]) -> list[Outdated]:
    """Return the users among these with stored answers that a flush has made invalid, in the same order.

    None if Redis does not answer, or has no epoch yet.
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
    """Return whether the user has done nothing, and was not erased, since ``find_outdated``."""
    key = generation_key(outdated.user_id)
    return redis_sync.attempt(lambda redis: (redis.get(key) or b"") == outdated.generation, False)


def store(outdated: Outdated, query: bytes, request: bytes, body: bytes) -> bool:
    """Store an answer for the first request of its user; False if the user has acted, or has a newer answer.

    It is stored under the epoch that ``find_outdated`` read: after another flush it is not valid.
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
