"""Messages that leave with a transaction: written beside what they tell of, published after commit, marked as sent.

What a crash leaves between commit and mark is published by the job ``publish_outbox``: at least once, and every
subscriber counts a message once.
"""

import logging
from collections.abc import Mapping, Sequence
from threading import Thread

import orjson
from sqlalchemy import Connection

from shared.settings import settings
from shared.storage import pubsub
from shared.storage.database import execute, read, transaction

log = logging.getLogger(__name__)

ADD = "INSERT INTO outbox (topic, data, attributes) VALUES (:topic, :data, cast(:attributes AS jsonb)) RETURNING id"
# rows that another publisher holds are skipped: two runs share the work instead of doubling it
CLAIM = """
    SELECT id, topic, data, attributes FROM outbox
    WHERE published_at IS NULL AND created_at < now() - make_interval(secs => :age_s)
    ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED"""
CLAIM_THESE = """
    SELECT id, topic, data, attributes FROM outbox
    WHERE published_at IS NULL AND id = ANY(:ids) ORDER BY id FOR UPDATE SKIP LOCKED"""
# what a publisher holds right now is on its way, not left behind
WAITING = """
    SELECT count(*) FROM (
        SELECT FROM outbox WHERE published_at IS NULL AND created_at < now() - make_interval(secs => :age_s)
        FOR UPDATE SKIP LOCKED) AS waiting"""
MARK = "UPDATE outbox SET published_at = now() WHERE id = ANY(:ids)"


def add(connection: Connection, topic: str, data: bytes, attributes: Mapping[str, str]) -> int:
    """Write a message beside the caller's changes and return its id."""
    parameters = {"topic": topic, "data": data, "attributes": orjson.dumps(dict(attributes)).decode()}
    return int(execute(connection, ADD, parameters)[0][0])


def _publish(connection: Connection, rows: list[tuple[int, str, bytes, dict[str, str]]]) -> int:
    futures = [(row[0], pubsub.send(row[1], bytes(row[2]), row[3])) for row in rows]
    sent: list[int] = []
    failure: Exception | None = None
    for row_id, future in futures:
        try:
            future.result(timeout=settings().publish_timeout_s)
            sent.append(row_id)
        except Exception as error:  # noqa: BLE001 — whatever the client raises, the row stays unsent
            failure = error
    execute(connection, MARK, {"ids": sent})
    if failure is not None:
        log.warning("outbox not empty", extra={"error": str(failure)[:500], "unsent": len(rows) - len(sent)})
    return len(sent)


def publish_now(ids: Sequence[int]) -> None:
    """Publish rows that were just committed. A failure is logged: the job publishes them within a minute."""
    try:
        with transaction() as connection:
            _publish(connection, [tuple(row) for row in execute(connection, CLAIM_THESE, {"ids": list(ids)})])
    except Exception as error:  # noqa: BLE001 — the write is committed; it must not fail now
        log.warning("outbox left to the job", extra={"error": str(error)[:500]})


def publish_within(ids: Sequence[int], wait_s: float) -> None:
    """``publish_now``, waited for at most ``wait_s``: a slow Pub/Sub holds up nobody whose write is committed."""
    if ids:
        publishing = Thread(target=publish_now, args=(ids,), daemon=True)
        publishing.start()
        publishing.join(wait_s)


def publish_unsent(*, older_than_s: float = 5.0, batch: int = 500) -> int:
    """Publish what is still unsent after ``older_than_s`` and return how many; stops at the first batch that fails."""
    total = 0
    while True:
        with transaction() as connection:
            rows = execute(connection, CLAIM, {"age_s": older_than_s, "batch": batch})
            sent = _publish(connection, [tuple(row) for row in rows])
        total += sent
        if sent < batch:
            return total


def waiting(*, older_than_s: float = 5.0) -> int:
    """Return how many messages are still unsent after ``older_than_s`` and held by no publisher."""
    return int(read(WAITING, age_s=older_than_s)[0][0])
