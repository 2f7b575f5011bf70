"""Idempotency keys: the first request with a key does the work, later requests get its stored response.

The response is stored in the transaction of the work, so neither exists without the other. A claim without a response
belongs to a request that is still running or has crashed. The claim states the longest time that its work can take;
after that, another request may take it over, and the previous holder can no longer commit. If the holder fails while
Postgres is unavailable, its claim is released as soon as Postgres is back.
"""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

import orjson

from shared.clients import closed_on_reset
from shared.clients.postgres import Connection, execute_prepared, read_one, run_prepared
from shared.errors import AppError, DatabaseUnavailable, IdempotencyInProgress, IdempotencyMismatch, RateLimited
from shared.retrying import Retry

log = logging.getLogger(__name__)

# The longest time, in seconds, that any work can take: the timeout of a request (functions.yaml).
CLAIM_S: Final = 60.0
# Seconds between attempts to release the claims of failed requests.
RELEASE_AGAIN_S: Final = 0.5
# Seconds for which a key returns its stored response.
RETENTION_S: Final = 86_400
# Maximum keys per user within RETENTION_S; far more than a shopper needs, but a client cannot fill the database.
MAX_KEYS_PER_OWNER: Final = 1000
KEY_REUSED: Final = "This Idempotency-Key was used with another body; send a new key."

CLAIM: Final = """
INSERT INTO idempotency_keys (key, route, request_hash, owner, created_at, claim, claim_s)
SELECT :key, :route, :request_hash, :owner, clock_timestamp(), cast(:claim AS uuid), cast(:claim_s AS float8)
WHERE EXISTS (SELECT FROM idempotency_keys WHERE key = :key AND route = :route)
   OR (SELECT count(*) FROM (
           SELECT FROM idempotency_keys
           WHERE owner = cast(:owner AS text)
             AND created_at > now() - make_interval(secs => cast(:retention_s AS float8))
           LIMIT cast(:most AS integer)) AS own) < cast(:most AS integer)
ON CONFLICT (key, route) DO UPDATE SET request_hash = EXCLUDED.request_hash, created_at = EXCLUDED.created_at,
    owner = EXCLUDED.owner, claim = EXCLUDED.claim, claim_s = EXCLUDED.claim_s, status = NULL, content_type = NULL,
    body = NULL, headers = '{}'
WHERE idempotency_keys.created_at < clock_timestamp() - make_interval(secs =>
    CASE WHEN idempotency_keys.status IS NULL THEN coalesce(idempotency_keys.claim_s, cast(:longest_s AS float8))
    ELSE cast(:retention_s AS float8) END)
RETURNING created_at"""
GET: Final = """
SELECT request_hash, status, content_type, body, headers FROM idempotency_keys WHERE key = :key AND route = :route"""
# created_at identifies the claim: a request that took it over has set a new time.
FINISH: Final = """
UPDATE idempotency_keys
SET status = :status, content_type = :content_type, body = :body, headers = cast(:headers AS jsonb)
WHERE key = :key AND route = :route AND created_at = :claimed_at AND status IS NULL
RETURNING 1"""
RELEASE: Final = """
DELETE FROM idempotency_keys
WHERE key = :key AND route = :route AND claim = cast(:claim AS uuid) AND status IS NULL"""
# The number of an owner's keys, and the seconds until the oldest expires.
COUNT: Final = """
SELECT count(*), ceil(extract(epoch FROM min(created_at) - now())::float8 + cast(:retention_s AS float8))
FROM idempotency_keys
WHERE owner = cast(:owner AS text) AND created_at > now() - make_interval(secs => cast(:retention_s AS float8))"""

# A guest's key belongs to the person: after the guest is merged, the account finds it.
FIRST_USER: Final = """
SELECT g.external_id FROM users a JOIN users g ON g.merged_into = a.id
JOIN idempotency_keys k ON k.key = :key AND k.route = cast(:route AS text) || ' ' || g.external_id
WHERE a.external_id = :user_id AND k.created_at >= clock_timestamp() - make_interval(secs => :retention_s)
ORDER BY k.created_at DESC LIMIT 1"""


@dataclass(frozen=True)
class Stored:
    """A stored response."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """The right to do the work for a key. At most one request holds it at a time."""

    key: str
    route: str
    claimed_at: datetime
    id: UUID


def claim(
    key: str, route: str, request_hash: bytes, owner: str | None = None, *, claim_s: float = CLAIM_S
) -> Claim | Stored:
    """Return a claim to do the work, or the stored response of the request that did it.

    ``owner`` is the user whom the response is about; it is erased with them. ``claim_s`` is the longest time in seconds
    that the work can take; after that, another request may do it.
    Raises IdempotencyMismatch if the key was used with a different request, IdempotencyInProgress while the first
    request is running, and RateLimited if the owner has MAX_KEYS_PER_OWNER keys.
    """
    UNRELEASED.release(key, route)
    claim_id = uuid4()
    try:
        rows = run_prepared(
            CLAIM,
            again=False,
            key=key,
            route=route,
            request_hash=request_hash,
            owner=owner,
            claim=claim_id,
            claim_s=claim_s,
            longest_s=CLAIM_S,
            retention_s=RETENTION_S,
            most=MAX_KEYS_PER_OWNER,
        )
    except DatabaseUnavailable:
        # The claim may have been stored and only the reply lost.
        UNRELEASED.add(key, route, claim_id)
        raise
    if rows:
        return Claim(key, route, rows[0][0], claim_id)
    row = read_one(GET, key=key, route=route)
    if row is None:
        _check_number(owner)
        # The other request released the key between the two statements.
        raise IdempotencyInProgress("Send the request again in a second.", headers={"Retry-After": "1"})
    if bytes(row[0]) != request_hash:
        raise IdempotencyMismatch(KEY_REUSED)
    if row[1] is None:
        raise IdempotencyInProgress(
            "The first request with this Idempotency-Key is still running; send the request again in a second.",
            headers={"Retry-After": "1"},
        )
    return Stored(int(row[1]), row[2], bytes(row[3]), row[4])


def first_user(key: str, route: str, user_id: str) -> str:
    """Return the user id under which a person used a key on ``<route> <user id>``: that of a guest merged into the
    account, or ``user_id`` itself.
    """
    row = read_one(FIRST_USER, key=key, route=route, user_id=user_id, retention_s=RETENTION_S)
    return user_id if row is None else str(row[0])


def _check_number(owner: str | None) -> None:
    row = read_one(COUNT, owner=owner, retention_s=RETENTION_S)
    if row is not None and row[0] >= MAX_KEYS_PER_OWNER:
        raise RateLimited(
            f"Idempotency-Key: this user has sent {MAX_KEYS_PER_OWNER} different keys within 24 hours, and no more are "
            "kept; send the request without a key where it needs none, or later.",
            headers={"Retry-After": str(max(1, int(row[1])))},
        )


def finish(connection: Connection, held: Claim, answer: Stored) -> None:
    """Store the response in the transaction of the work.

    Raises IdempotencyInProgress if another request has taken over the claim; the transaction must then not commit.
    """
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
        raise IdempotencyInProgress(
            "Another request with this Idempotency-Key took over; send the request again in a second.",
            headers={"Retry-After": "1"},
        )


def release(held: Claim) -> None:
    """Release the key after work that failed without changes, so that the client can correct the request and retry.

    If Postgres is unavailable, the key is released once it is back.
    """
    try:
        _release(held.key, held.route, held.id)
    except AppError as error:
        log.warning("idempotency key not released", extra={"error": error.detail})
        UNRELEASED.add(held.key, held.route, held.id)


def _release(key: str, route: str, claim_id: UUID) -> None:
    # Prepared, so that it does not count as a change made by the request, which may be retried afterwards.
    run_prepared(RELEASE, again=False, key=key, route=route, claim=claim_id)


class _Unreleased:
    """Claims that failed requests could not release. A thread releases them once Postgres is back."""

    def __init__(self) -> None:
        # By key and route: the claim, and when it expires by itself.
        self._claims: dict[tuple[str, str], tuple[UUID, float]] = {}
        self._lock = threading.Lock()
        self.again = Retry("release of idempotency keys", RELEASE_AGAIN_S, self._release_all)

    def add(self, key: str, route: str, claim_id: UUID) -> None:
        """Release this claim later."""
        with self._lock:
            self._claims[key, route] = (claim_id, time.monotonic() + CLAIM_S)
        self.again.start()

    def release(self, key: str, route: str) -> None:
        """Release the claim of this key now, if one is pending. Raises DatabaseUnavailable."""
        waiting = self._claims.get((key, route))
        if waiting is not None:
            _release(key, route, waiting[0])
            self._remove(key, route, waiting[0])

    def _remove(self, key: str, route: str, claim_id: UUID) -> None:
        with self._lock:
            if self._claims.get((key, route), (None,))[0] == claim_id:
                del self._claims[key, route]

    def _release_all(self) -> bool:
        now = time.monotonic()
        with self._lock:
            waiting = list(self._claims.items())
        for (key, route), (claim_id, until) in waiting:
            try:
                if now < until:
                    _release(key, route, claim_id)
            except AppError:
                break
            except Exception as error:  # noqa: BLE001 — the other claims may still be released
                log.warning("idempotency key not released", extra={"error": type(error).__name__})
                continue
            self._remove(key, route, claim_id)
        with self._lock:
            return bool(self._claims)

    def forget(self) -> None:
        """Forget all pending claims, which belong to the previous database."""
        self.again.stop()
        with self._lock:
            self._claims.clear()


UNRELEASED: Final = _Unreleased()


@closed_on_reset
def forget_unreleased() -> None:
    """Forget the claims still to be released."""
    UNRELEASED.forget()
