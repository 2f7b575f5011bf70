"""One-time links to the report of a training run: docs/decisions/0069-links-to-reports.md.

A link contains a random token. Redis maps its digest to the run, under the key ``report-link:{digest}``.
"""

import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from shared.clients import redis_sync
from shared.errors import Unavailable

if TYPE_CHECKING:
    from redis import Redis

TTL_S: Final = 300


def _key(token: str) -> str:
    return f"report-link:{sha256(token.encode()).hexdigest()}"


def issue(run_id: int) -> str:
    """Return the token of a new link to this run's report. Raises Unavailable if Redis is unavailable."""
    token = secrets.token_urlsafe(32)
    if not redis_sync.attempt(lambda redis: bool(redis.set(_key(token), run_id, ex=TTL_S)), False):
        raise Unavailable("Redis does not answer, so that no link can be issued. Try again in a moment.")
    return token


def use(token: str, run_id: int) -> bool:
    """Return whether the token opens the report of this run, and invalidate it, whichever report it is for.

    Raises Unavailable if Redis is unavailable, since it is then unknown whether the link is valid.
    """
    return _opens(lambda redis: redis.getdel(_key(token)), run_id)


def check(token: str, run_id: int) -> bool:
    """Return whether the token would open the report of this run, without invalidating it. Raises like ``use``."""
    return _opens(lambda redis: redis.get(_key(token)), run_id)


def _opens(read: "Callable[[Redis], object]", run_id: int) -> bool:
    # The id of a run, empty if there is no such link, or None if Redis failed.
    number = redis_sync.attempt(lambda redis: read(redis) or b"", None)
    if number is None:
        raise Unavailable("Redis does not answer, so that the link cannot be checked. Open it again in a moment.")
    return number == str(run_id).encode()
