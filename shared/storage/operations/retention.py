"""Dropping what is past its time: whole partitions of events, batches of everything else."""

import logging
import time
from typing import Final, NamedTuple

from sqlalchemy.exc import DBAPIError

from shared.clients import postgres
from shared.clients.postgres import execute, transaction

log = logging.getLogger(__name__)

BATCH: Final = 10_000
# Attaching and dropping a partition lock the whole table: rather try again than make every event queue behind a reader.
LOCK_TIMEOUT_S: Final = 2
ATTEMPTS: Final = 5
LOCK_NOT_AVAILABLE: Final = "55P03"


class Rule(NamedTuple):
    """Rows of ``table`` for which ``past`` holds are deleted; ``past`` may use ``:event_months``."""

    table: str
    past: str


EVENT_AGE: Final = "now() - make_interval(months => cast(:event_months AS integer))"
# names and conditions are constants of this file; only the age is a parameter
RULES: Final = (
    Rule("events_default", f"occurred_at < {EVENT_AGE}"),
    Rule("event_ids", f"occurred_at < {EVENT_AGE}"),
    Rule("counted_purchases", f"counted_at < {EVENT_AGE}"),
    Rule("event_counts_hourly", "hour < now() - interval '13 months'"),
    Rule("idempotency_keys", "created_at < now() - interval '24 hours'"),
    Rule("outbox", "published_at < now() - interval '7 days'"),
    Rule("rejected_events", "rejected_at < now() - interval '90 days'"),
    Rule("recommendation_log", "at < now() - interval '35 days'"),
    Rule("recommendation_feedback", "at < now() - interval '35 days'"),
    Rule("refresh_tokens", "expires_at < now()"),
    Rule("login_failures", "last_at < now() - interval '2 days'"),
    Rule("search_history", f"last_at < {EVENT_AGE}"),
    Rule("job_runs", "started_at < now() - interval '90 days'"),
)

DELETE: Final = """
WITH gone AS (
    DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {past} LIMIT :batch)) AND {past}
    RETURNING 1
) SELECT count(*) FROM gone
"""

# A month's partition goes when its last moment is past the retention.
EXPIRED_PARTITIONS: Final = f"""
SELECT child.relname
FROM pg_inherits i JOIN pg_class child ON child.oid = i.inhrelid
WHERE i.inhparent = 'events'::regclass AND child.relname ~ '^events_\\d{{4}}_\\d{{2}}$'
  AND (to_date(right(child.relname, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC' <= {EVENT_AGE}
ORDER BY 1
"""
ENSURE_PARTITIONS: Final = """
SELECT ensure_event_partitions(current_date, (now() + make_interval(months => :months))::date)
"""


def _quickly(sql: str, **parameters: object) -> list[tuple[object, ...]]:
    """Run a statement that locks the table of events, giving way to others between attempts."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction(statement_timeout_s=0) as connection:
                execute(connection, f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
                return [tuple(row) for row in execute(connection, sql, parameters)]
        except DBAPIError as error:
            arguments = getattr(error.orig, "args", ())
            state = arguments[0].get("C") if arguments and isinstance(arguments[0], dict) else None
            if state != LOCK_NOT_AVAILABLE or attempt == ATTEMPTS:
                raise
            log.info("table is in use; trying again", extra={"attempt": attempt})
            time.sleep(attempt)
    raise AssertionError("the last attempt returns or raises")


def ensure_partitions(months_ahead: int) -> int:
    """Make the partitions of this month and the next ones that are missing; return how many were made."""
    made = _quickly(ENSURE_PARTITIONS, months=months_ahead)[0][0]
    assert isinstance(made, int)
    return made


def drop_expired_partitions(event_months: int) -> list[str]:
    """Drop the months of events older than ``event_months`` and return their tables' names."""
    names = [str(row[0]) for row in postgres.read(EXPIRED_PARTITIONS, event_months=event_months)]
    for name in names:
        # the name matched the pattern above: nothing to quote
        _quickly(f"DROP TABLE IF EXISTS {name}")
    return names


def delete_expired(rule: Rule, event_months: int) -> int:
    """Delete a rule's rows in batches, each a short transaction of its own; return how many there were."""
    statement = DELETE.format(table=rule.table, past=rule.past)
    parameters = {"event_months": event_months} if ":event_months" in rule.past else {}
    total = 0
    while True:
        deleted = int(postgres.write(statement, batch=BATCH, **parameters)[0][0])
        total += deleted
        if deleted < BATCH:
            return total
