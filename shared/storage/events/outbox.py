"""Messages that leave with a transaction: written beside what they tell of, published after commit, marked as sent.

What a crash leaves between commit and mark is published by the job ``publish_outbox``: at least once, and every
subscriber counts a message once.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from shared.clients import pubsub
from shared.clients.postgres import Connection, execute, execute_prepared, read, run_prepared, transaction
from shared.settings import settings

log = logging.getLogger(__name__)

ADD = "INSERT INTO outbox (topic, data, attributes) VALUES (:topic, :data, cast(:attributes AS jsonb)) RETURNING id"
# rows that another publisher holds are skipped: two runs share the work instead of doubling it
CLAIM = """
    SELECT id, topic, data, attributes FROM outbox
    WHERE published_at IS NULL AND created_at < now() - make_interval(secs => :age_s)
    ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED"""
# their writer's own: the job leaves them alone for five seconds, and what both publish counts once
THESE = """
    SELECT id, topic, data, attributes FROM outbox
    WHERE published_at IS NULL AND id = ANY(cast(:ids AS bigint[])) ORDER BY id"""
# what a publisher holds right now is on its way, not left behind
WAITING = """
    SELECT count(*) FROM (
        SELECT FROM outbox WHERE published_at IS NULL AND created_at < now() - make_interval(secs => :age_s)
        FOR UPDATE SKIP LOCKED) AS waiting"""
MARK = "UPDATE outbox SET published_at = now() WHERE id = ANY(cast(:ids AS bigint[]))"


def add(connection: Connection, topic: str, data: bytes, attributes: Mapping[str, str]) -> int:
    """Write a message beside the caller's changes and return its id."""
    parameters = {"topic": topic, "data": data, "attributes": orjson.dumps(dict(attributes)).decode()}
    return int(execute_prepared(connection, ADD, parameters)[0][0])


def _publish(rows: Sequence[Any], wait_s: float) -> list[int]:
    """Publish rows and return the ids of those that Pub/Sub has within ``wait_s``; the others stay unsent."""
    end = time.monotonic() + wait_s
    futures = [(int(row[0]), pubsub.send(row[1], bytes(row[2]), row[3])) for row in rows]
    sent: list[int] = []
    failure: Exception | None = None
    for row_id, future in futures:
        try:
            future.result(timeout=max(0.0, end - time.monotonic()))
            sent.append(row_id)
        except Exception as error:  # noqa: BLE001 — whatever the client raises, the row stays unsent
            failure = error
    if failure is not None:
        reason = str(failure)[:500] or type(failure).__name__
        log.warning("outbox not empty", extra={"error": reason, "unsent": len(rows) - len(sent)})
    return sent


def publish_now(ids: Sequence[int], *, wait_s: float | None = None) -> None:
    """Publish rows that were just committed. A failure is logged: the job publishes them within a minute.

    ``wait_s``: how long to wait for Pub/Sub, where that is less than PUBLISH_TIMEOUT_S. What it takes later than that
    the job publishes again, and subscribers count once.
    """
    if not ids:
        return
    try:
        rows = run_prepared(THESE, ids=list(ids))
        sent = _publish(rows, settings().publish_timeout_s if wait_s is None else wait_s)
        if sent:
            run_prepared(MARK, ids=sent)
    except Exception as error:  # noqa: BLE001 — the write is committed; it must not fail now
        log.warning("outbox left to the job", extra={"error": str(error)[:500]})


def publish_unsent(*, older_than_s: float = 5.0, batch: int = 500) -> int:
    """Publish what is still unsent after ``older_than_s`` and return how many; stops at the first batch that fails."""
    total = 0
    while True:
        with transaction() as connection:
            rows = execute(connection, CLAIM, {"age_s": older_than_s, "batch": batch})
            sent = _publish(rows, settings().publish_timeout_s)
            execute(connection, MARK, {"ids": sent})
        total += len(sent)
        if len(sent) < batch:
            return total


def waiting(*, older_than_s: float = 5.0) -> int:
    """Return how many messages are still unsent after ``older_than_s`` and held by no publisher."""
    return int(read(WAITING, age_s=older_than_s)[0][0])
