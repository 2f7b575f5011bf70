"""A user's stored answers: one Redis hash per user, a field per query, so that one DEL forgets them all.

The field is the query as it was sent: an answer is only stored after its query was found valid, so a hit needs no
validation. The value begins with the scope's epoch (shared/storage/answers/cache.py).
"""

import gzip
import logging
from typing import Final
from urllib.parse import unquote_plus

from starlette.types import Scope

from shared.auth import bearer, own
from shared.clients.redis_async import RedisUnavailable
from shared.errors import AppError, Unauthorized
from shared.http import tally
from shared.http.answers import redis
from shared.http.edge import HeaderList
from shared.settings import settings
from shared.storage.answers.cache import EPOCHS, generation_key, user_key

log = logging.getLogger(__name__)

SCOPE: Final = "recommendations"
MAX_QUERY_BYTES: Final = 512
MAX_FIELDS: Final = 32
GZIP_FROM_BYTES: Final = 1024

# Stored only if the user has done nothing since the answer's computation began. A hash that grows beyond MAX_FIELDS
# starts anew. The time to live counts from the first answer: none gets older than that.
STORE: Final = """
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 0 end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return 1
"""

JSON_HEADERS: Final[HeaderList] = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Accept-Encoding"),
]
GZIP_HEADERS: Final[HeaderList] = [*JSON_HEADERS, (b"content-encoding", b"gzip")]


def user_of(query: bytes) -> str | None:
    """Return the user id of a raw query string; None when there is none. Raises Unauthorized when there are several."""
    found = None
    for part in query.split(b"&"):
        if part.startswith(b"user_id="):
            if found is not None:
                raise Unauthorized("one user_id")
            found = part[8:]
    if not found:
        return None
    text = found.decode("latin-1")
    return unquote_plus(text) if "%" in text or "+" in text else text


async def hot(scope: Scope) -> tuple[int, bytes, HeaderList] | None:
    """Answer /recommendations from stored bytes; None for everything else and whatever is not stored."""
    if scope["path"] != "/recommendations":
        return None
    query: bytes = scope["query_string"]
    zipped = False
    authorization = None
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            zipped = b"gzip" in value
        elif name == b"authorization":
            authorization = value.decode("latin-1")
    try:
        user_id = own(user_of(query), bearer(authorization) if authorization else None)
    except AppError:
        # the application says why
        return None
    try:
        stored, epoch = await redis().run(
            ("HGET", user_key(user_id), b"z:" + query if zipped else query), ("HGET", EPOCHS, SCOPE)
        )
    except RedisUnavailable:
        return None
    prefix = (epoch or b"0") + b"\n"
    hit = stored is not None and stored.startswith(prefix)
    tally.count(hit)
    if not hit:
        return None
    body = stored[len(prefix) :]
    # short answers are stored as they are in both fields
    if zipped and body.startswith(b"\x1f\x8b"):
        return 200, body, [*GZIP_HEADERS, (b"content-length", b"%d" % len(body))]
    return 200, body, [*JSON_HEADERS, (b"content-length", b"%d" % len(body))]


async def before(user_id: str, query: bytes) -> tuple[bytes | None, bytes, bytes] | None:
    """Return ``(stored body or None, epoch, generation)`` before computing; None when Redis is away."""
    try:
        stored, epoch, generation = await redis().run(
            ("HGET", user_key(user_id), query), ("HGET", EPOCHS, SCOPE), ("GET", generation_key(user_id))
        )
    except RedisUnavailable:
        return None
    epoch = epoch or b"0"
    body = stored[len(epoch) + 1 :] if stored is not None and stored.startswith(epoch + b"\n") else None
    return body, epoch, generation or b""


async def store(user_id: str, query: bytes, body: bytes, epoch: bytes, generation: bytes) -> None:
    """Keep an answer, unless the user has done something since ``before``."""
    if len(query) > MAX_QUERY_BYTES:
        return
    prefix = epoch + b"\n"
    zipped = gzip.compress(body, 5, mtime=0) if len(body) >= GZIP_FROM_BYTES else body
    try:
        await redis().run(
            (
                "EVAL",
                STORE,
                2,
                user_key(user_id),
                generation_key(user_id),
                generation,
                settings().recommendation_ttl_s,
                MAX_FIELDS,
                query,
                prefix + body,
                b"z:" + query,
                prefix + zipped,
            )
        )
    except RedisUnavailable:
        log.debug("answer not stored")
