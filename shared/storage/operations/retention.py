"""Retention: old events are dropped by partition, old rows of other tables are deleted in batches."""

import logging
import time
from typing import Final, NamedTuple

from shared.clients import postgres
from shared.clients.postgres import execute, transaction
from shared.errors import DatabaseBusy
from shared.storage.operations.idempotency import RETENTION_S
from shared.storage.people.login_failures import KNOWN_DAYS
from shared.storage.recommending.attribution import KEPT_DAYS

log = logging.getLogger(__name__)

BATCH_ROWS: Final = 10_000
# Seconds to wait for the lock. Attaching or dropping a partition locks the events table; it is better to give up and
# retry than to make every new event queue behind a long-running reader.
LOCK_TIMEOUT_S: Final = 2
ATTEMPTS: Final = 5


class Rule(NamedTuple):
    """Delete rows of ``table`` that meet the condition ``expired``, which may use ``:event_months``."""

    table: str
    expired: str


EVENT_AGE: Final = "now() - make_interval(months => cast(:event_months AS integer))"
# Tables and conditions are constants of this file; only the age is a parameter.
RULES: Final = (
    Rule("events_default", f"occurred_at < {EVENT_AGE}"),
    Rule("event_ids", f"occurred_at < {EVENT_AGE}"),
    Rule("counted_purchases", f"counted_at < {EVENT_AGE}"),
    Rule("purchase_lines", f"occurred_at < {EVENT_AGE}"),
    Rule("refunds", f"received_at < {EVENT_AGE}"),
    # Only read on their own day; a margin because the clocks of instances may differ.
    Rule("daily_caps", "day < current_date - 2"),
    Rule("search_caps", "day < current_date - 2"),
    Rule("search_counts", f"day < ({EVENT_AGE})::date"),
    Rule("event_counts_hourly", "hour < now() - interval '13 months'"),
    Rule("idempotency_keys", f"created_at < now() - interval '{RETENTION_S} seconds'"),
    # A signature is accepted only for minutes.
    Rule("webhook_deliveries", "signed_at < now() - interval '1 hour'"),
    Rule("outbox", "published_at < now() - interval '7 days'"),
    Rule("rejected_events", "rejected_at < now() - interval '90 days'"),
    Rule("recommendation_log", f"at < now() - interval '{KEPT_DAYS} days'"),
    Rule("recommendation_feedback", f"at < now() - interval '{KEPT_DAYS} days'"),
    Rule("refresh_tokens", "expires_at < now()"),
    Rule("account_links", "expires_at < now()"),
    # The database refuses to delete any other entries: see migration 0007.
    Rule("audit_log", "action IN ('login', 'login.failure') AND at < now() - interval '13 months'"),
    # An address from which an account has logged in stays known for a while.
    Rule(
        "login_failures",
        "last_at < now() - CASE WHEN succeeded_at IS NULL THEN interval '2 days' "
        f"ELSE interval '{KNOWN_DAYS} days' END",
    ),
    Rule("search_history", f"last_at < {EVENT_AGE}"),
    Rule("job_runs", "started_at < now() - interval '90 days'"),
    Rule("imports", "started_at < now() - interval '90 days'"),
)

DELETE: Final = """
WITH deleted AS (
    DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {expired} LIMIT :batch)) AND {expired}
    RETURNING 1
) SELECT count(*) FROM deleted
"""

# A month's partition expires when the end of the month is older than the retention period. All partitions from this
# time on are kept.
KEPT_SINCE: Final = f"date_trunc('month', {EVENT_AGE}, 'UTC')"
EXPIRED_PARTITIONS: Final = f"""
SELECT child.relname
FROM pg_inherits i JOIN pg_class child ON child.oid = i.inhrelid
WHERE i.inhparent = 'events'::regclass AND child.relname ~ '^events_\\d{{4}}_\\d{{2}}$'
  AND to_date(right(child.relname, 7), 'YYYY_MM')::timestamp AT TIME ZONE 'UTC' < {KEPT_SINCE}
ORDER BY 1
"""
ENSURE_PARTITIONS: Final = """
SELECT ensure_event_partitions(current_date, (now() + make_interval(months => :months))::date)
"""


def _run_with_retries(sql: str, **parameters: object) -> list[tuple[object, ...]]:
    """Run a statement that locks the events table; wait between attempts so that other transactions can proceed."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction(statement_timeout_s=0) as connection:
                execute(connection, f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
                return [tuple(row) for row in execute(connection, sql, parameters)]
        except DatabaseBusy:
            if attempt == ATTEMPTS:
                raise
            log.info("table is locked; trying again", extra={"attempt": attempt})
            time.sleep(attempt)
    raise AssertionError("the last attempt returns or raises")


def ensure_partitions(months_ahead: int) -> int:
    """Create missing partitions for this month and the next ``months_ahead``; return how many were created."""
    created = _run_with_retries(ENSURE_PARTITIONS, months=months_ahead)[0][0]
    assert isinstance(created, int)
    return created


def drop_expired_partitions(event_months: int) -> list[str]:
    """Drop the partitions of events older than ``event_months`` months and return their names."""
    names = [str(row[0]) for row in postgres.read(EXPIRED_PARTITIONS, event_months=event_months)]
    for name in names:
        _run_with_retries("SELECT drop_event_partition(:name)", name=name)
    return names


def delete_expired(rule: Rule, event_months: int) -> int:
    """Delete the expired rows of a rule in batches, each in its own short transaction; return how many."""
    statement = DELETE.format(table=rule.table, expired=rule.expired)
    parameters = {"event_months": event_months} if ":event_months" in rule.expired else {}
    total = 0
    while True:
        deleted = int(postgres.write(statement, batch=BATCH_ROWS, **parameters)[0][0])
        total += deleted
        if deleted < BATCH_ROWS:
            return total
