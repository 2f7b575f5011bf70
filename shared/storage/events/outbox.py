"""The outbox: messages written in the transaction of the change that they announce, and published after its commit.

If a crash leaves a message unpublished, the job ``publish_outbox`` publishes it. Delivery is at least once, and every
subscriber deduplicates.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from shared.clients import pubsub
from shared.clients.postgres import Connection, execute, execute_prepared, read, run_prepared, transaction
from shared.errors import PubSubUnavailable
from shared.settings import settings

log = logging.getLogger(__name__)

# Seconds that a request waits for Pub/Sub; the job publish_outbox sends what is still unsent.
REQUEST_WAIT_S: Final = 2.0

ADD: Final = (
    "INSERT INTO outbox (topic, data, attributes) VALUES (:topic, :data, cast(:attributes AS jsonb)) RETURNING id"
)
# Rows that another publisher has locked are skipped: two runs share the work instead of repeating it.
CLAIM_UNSENT: Final = """
    SELECT id, topic, data, attributes FROM outbox
    WHERE published_at IS NULL AND created_at < now() - make_interval(secs => :age_s)
    ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED"""
# The writer reads its own rows without a lock: the job leaves rows of the last few seconds to it, and a message
# published by both counts once.
UNSENT_BY_ID: Final = """
    SELECT id, topic, data, attributes FROM outbox
    WHERE published_at IS NULL AND id = ANY(cast(:ids AS bigint[])) ORDER BY id"""
# Rows that a publisher has locked are being sent and so are not counted.
COUNT_UNSENT: Final = """
    SELECT count(*) FROM (
        SELECT FROM outbox WHERE published_at IS NULL AND created_at < now() - make_interval(secs => :age_s)
        FOR UPDATE SKIP LOCKED) AS unsent"""
MARK_SENT: Final = "UPDATE outbox SET published_at = now() WHERE id = ANY(cast(:ids AS bigint[]))"


def add(connection: Connection, topic: str, data: bytes, attributes: Mapping[str, str]) -> int:
    """Write a message in the caller's transaction and return its outbox id, for ``publish_now`` after the commit."""
    parameters = {"topic": topic, "data": data, "attributes": orjson.dumps(dict(attributes)).decode()}
    return int(execute_prepared(connection, ADD, parameters)[0][0])


def _publish(rows: Sequence[Any], wait_s: float) -> list[int]:
    """Publish rows and return the ids of those that Pub/Sub stored within ``wait_s``; the others stay unsent."""
    deadline = time.monotonic() + wait_s
    futures = []
    sent: list[int] = []
    failure: Exception | None = None
    for row in rows:
        try:
            futures.append((int(row[0]), pubsub.send(row[1], bytes(row[2]), row[3])))
        except PubSubUnavailable as error:
            failure = error
            break
    for row_id, future in futures:
        try:
            future.result(timeout=max(0.0, deadline - time.monotonic()))
            sent.append(row_id)
        except Exception as error:  # noqa: BLE001 — after any error the row stays unsent
            failure = error
    if failure is not None:
        reason = str(failure)[:500] or type(failure).__name__
        log.warning("messages not published", extra={"error": reason, "unsent": len(rows) - len(sent)})
    return sent


def publish_now(ids: Sequence[int], *, wait_s: float | None = None) -> None:
    """Publish rows that were just committed. A failure is only logged: the job publishes them within a minute.

    ``wait_s`` replaces PUBLISH_TIMEOUT_S as the time to wait for Pub/Sub. If Pub/Sub stores a message later than that,
    the job publishes it again, and subscribers count it once.
    """
    if not ids:
        return
    try:
        rows = run_prepared(UNSENT_BY_ID, ids=list(ids))
        sent = _publish(rows, settings().publish_timeout_s if wait_s is None else wait_s)
        if sent:
            run_prepared(MARK_SENT, ids=sent)
    except Exception as error:  # noqa: BLE001 — the change is committed, so its request must not fail
        log.warning("outbox left to the job", extra={"error": str(error)[:500]})


def publish_unsent(*, older_than_s: float = 5.0, batch: int = 500) -> int:
    """Publish the messages that have been unsent for at least ``older_than_s``, up to the first failed batch; return
    how many were published."""
    total = 0
    while True:
        with transaction() as connection:
            rows = execute(connection, CLAIM_UNSENT, {"age_s": older_than_s, "batch": batch})
            sent = _publish(rows, settings().publish_timeout_s)
            execute(connection, MARK_SENT, {"ids": sent})
        total += len(sent)
        if len(sent) < batch:
            return total


def count_unsent(*, older_than_s: float = 5.0) -> int:
    """Return how many messages have been unsent for at least ``older_than_s`` and are not being sent right now."""
    return int(read(COUNT_UNSENT, age_s=older_than_s)[0][0])
