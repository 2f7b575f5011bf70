"""Idempotency keys: the first request with a key does the work, later ones get its answer.

The answer is stored in the transaction of the work itself, so there is never one without the other. A claim without
an answer is a run that is still going, or one that crashed: after CLAIM_S it may be taken over, and the run that lost
it can no longer commit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import orjson

from shared.clients.postgres import Connection, execute_prepared, read_one, run_prepared, write
from shared.errors import IdempotencyInProgress, IdempotencyMismatch

CLAIM_S: Final = 60
KEPT_S: Final = 86_400

CLAIM: Final = """
INSERT INTO idempotency_keys (key, route, request_hash, created_at)
VALUES (:key, :route, :request_hash, clock_timestamp())
ON CONFLICT (key, route) DO UPDATE SET request_hash = EXCLUDED.request_hash, created_at = EXCLUDED.created_at,
    status = NULL, content_type = NULL, body = NULL, headers = '{}'
WHERE idempotency_keys.created_at < clock_timestamp() - make_interval(secs =>
    CASE WHEN idempotency_keys.status IS NULL THEN cast(:claim_s AS float8) ELSE cast(:kept_s AS float8) END)
RETURNING created_at"""
STORED: Final = """
SELECT request_hash, status, content_type, body, headers FROM idempotency_keys WHERE key = :key AND route = :route"""
# created_at is the claim: whoever took it over has another
FINISH: Final = """
UPDATE idempotency_keys
SET status = :status, content_type = :content_type, body = :body, headers = cast(:headers AS jsonb)
WHERE key = :key AND route = :route AND created_at = :claimed_at AND status IS NULL
RETURNING 1"""
RELEASE: Final = """
DELETE FROM idempotency_keys WHERE key = :key AND route = :route AND created_at = :claimed_at AND status IS NULL"""
# for the retention job
DELETE_EXPIRED: Final = (
    "DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(secs => :kept_s) RETURNING 1"
)


@dataclass(frozen=True)
class Stored:
    """An answer as it was given."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """The right to do the work of a key: at most one at a time."""

    key: str
    route: str
    claimed_at: datetime


def claim(key: str, route: str, request_hash: bytes) -> Claim | Stored:
    """Return the claim to do the work, or the answer of the request that did it.

    Raises IdempotencyMismatch when the key belongs to another request, IdempotencyInProgress while that one runs.
    """
    rows = run_prepared(
        CLAIM, again=False, key=key, route=route, request_hash=request_hash, claim_s=CLAIM_S, kept_s=KEPT_S
    )
    if rows:
        return Claim(key, route, rows[0][0])
    row = read_one(STORED, key=key, route=route)
    if row is None:
        # released between the two statements
        raise IdempotencyInProgress("Send the request again in a moment.", headers={"Retry-After": "1"})
    if bytes(row[0]) != request_hash:
        raise IdempotencyMismatch("This Idempotency-Key was used for a request with another body; use a new one.")
    if row[1] is None:
        raise IdempotencyInProgress(
            "The first request with this Idempotency-Key has not ended; ask again in a moment.",
            headers={"Retry-After": "1"},
        )
    return Stored(int(row[1]), row[2], bytes(row[3]), row[4])


def finish(connection: Connection, held: Claim, answer: Stored) -> None:
    """Store the answer inside the transaction of the work. Raises IdempotencyInProgress when another run took over."""
    parameters = {
        "key": held.key,
        "route": held.route,
        "claimed_at": held.claimed_at,
        "status": answer.status,
        "content_type": answer.content_type,
        "body": answer.body,
        "headers": orjson.dumps(dict(answer.headers)).decode(),
    }
    if not execute_prepared(connection, FINISH, parameters):
        raise IdempotencyInProgress("Another request with this Idempotency-Key took over; ask again in a moment.")


def release(held: Claim) -> None:
    """Give the key back: the work failed and changed nothing, the client may correct it and try again."""
    write(RELEASE, key=held.key, route=held.route, claimed_at=held.claimed_at)


def delete_expired() -> int:
    """Delete keys older than a day and return how many."""
    return len(write(DELETE_EXPIRED, kept_s=KEPT_S))
