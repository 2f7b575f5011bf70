"""Links that open the report of one training run once: docs/decisions/0069-links-to-reports.md.

A link is a random token, of which Redis holds the digest and the run, under ``report-link:{digest}``.
"""

import secrets
from hashlib import sha256
from typing import Final

from shared.clients import redis_sync
from shared.errors import Unavailable

TTL_S: Final = 300


def _key(token: str) -> str:
    return f"report-link:{sha256(token.encode()).hexdigest()}"


def issue(run_id: int) -> str:
    """Return the token of a new link to this run's report. Raises Unavailable if Redis does not answer."""
    token = secrets.token_urlsafe(32)
    if not redis_sync.attempt(lambda redis: bool(redis.set(_key(token), run_id, ex=TTL_S)), False):
        raise Unavailable("Redis does not answer, so that no link can be issued. Try again in a moment.")
    return token


def use(token: str, run_id: int) -> bool:
    """Return whether the token opens the report of this run, and end it, whichever report it is for."""
    found = redis_sync.attempt(lambda redis: redis.getdel(_key(token)), None)
    return found is not None and int(found) == run_id
