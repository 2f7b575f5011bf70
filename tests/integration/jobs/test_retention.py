"""The job that deletes rows past their retention."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared import clients
from shared.clients import postgres
from shared.settings import settings
from shared.storage.operations import retention
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events, add_plain_products

DAY = 24


def partitions() -> set[str]:
    rows = postgres.read("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass")
    return {row[0] for row in rows}


def month(time: datetime) -> str:
    return f"events_{time:%Y_%m}"


def run(serve: Serve) -> dict[str, Any]:
    answer = serve("retention").post("/", json={})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def test_months_past_the_retention_go_whole_and_younger_ones_stay(
    env: object, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENT_RETENTION_MONTHS", "2")
    clients.reset()
    assert settings().event_retention_months == 2
    postgres.write("SELECT ensure_event_partitions((now() - interval '8 months')::date, current_date)")
    (product,) = add_plain_products(1)
    add_events([StoredEvent("a", product, "view", DAY * days) for days in (1, 45, 130, 200)])
    now = datetime.now(UTC)
    answer = run(serve)
    assert month(now - timedelta(days=200)) in answer["partitions_dropped"]
    assert month(now - timedelta(days=130)) in answer["partitions_dropped"]
    # a month goes when its last moment is old enough, not its first
    assert month(now - timedelta(days=45)) in partitions()
    assert partitions().isdisjoint(answer["partitions_dropped"])
    assert postgres.read("SELECT count(*) FROM events")[0][0] == 2
    assert run(serve)["partitions_dropped"] == []


def test_partitions_three_months_ahead_are_made(env: object, serve: Serve) -> None:
    ahead = [postgres.read(f"SELECT to_char(now() + interval '{n} months', 'YYYY_MM')")[0][0] for n in range(4)]
    for name in ahead[2:]:
        postgres.write(f"DROP TABLE events_{name}")
    assert run(serve)["partitions_made"] == 2
    assert {f"events_{name}" for name in ahead} <= partitions()
    assert run(serve)["partitions_made"] == 0


# how to add a row that is {} old, and the age from which on it goes
OLD_AND_YOUNG = {
    "events_default": (
        """INSERT INTO events (event_id, user_id, event_type, occurred_at)
           VALUES (gen_random_uuid(), 1, 'view', {})""",
        "13 months",
    ),
    "event_ids": ("INSERT INTO event_ids VALUES (gen_random_uuid(), {})", "13 months"),
    "counted_purchases": ("INSERT INTO counted_purchases VALUES (gen_random_uuid(), {})", "13 months"),
    "purchase_lines": (
        """WITH u AS (INSERT INTO users (external_id) VALUES (gen_random_uuid()) RETURNING id)
           INSERT INTO purchase_lines
           SELECT gen_random_uuid(), gen_random_uuid(), id, 'A-1', 1, 1, NULL, 0, true, {} FROM u""",
        "13 months",
    ),
    "refunds": (
        """WITH u AS (INSERT INTO users (external_id) VALUES (gen_random_uuid()) RETURNING id)
           INSERT INTO refunds SELECT gen_random_uuid(), id, 'A-1', NULL, NULL, true, {} FROM u""",
        "13 months",
    ),
    # a column of days: the last day that goes, and the first that stays
    "daily_caps": (
        """INSERT INTO daily_caps (day, party, product_id, scope, count)
           SELECT current_date - CASE WHEN {} < now() - interval '3 days' THEN 3 ELSE 2 END,
                  hashtextextended(gen_random_uuid()::text, 0), 1, 'view', 1""",
        "3 days",
    ),
    "event_counts_hourly": ("INSERT INTO event_counts_hourly VALUES ({}, 1, 'view', 1)", "13 months"),
    "idempotency_keys": (
        """INSERT INTO idempotency_keys (key, route, request_hash, created_at)
           VALUES (gen_random_uuid(), 'r', '', {})""",
        "24 hours",
    ),
    "webhook_deliveries": (
        "INSERT INTO webhook_deliveries (subject, signed_at) VALUES (gen_random_uuid(), {})",
        "1 hour",
    ),
    "outbox": (
        """INSERT INTO outbox (topic, data, created_at, published_at)
           VALUES ('t', '', now() - interval '9 years', {})""",
        "7 days",
    ),
    "rejected_events": (
        """INSERT INTO rejected_events (message_id, event, reason, rejected_at)
           VALUES (gen_random_uuid(), '{{}}', 'r', {})""",
        "90 days",
    ),
    "recommendation_log": (
        """INSERT INTO recommendation_log (id, user_id, kind, strategy, product_ids, at)
           VALUES (gen_random_uuid(), 'u', 'k', 's', '{{}}', {})""",
        "35 days",
    ),
    "recommendation_feedback": (
        """INSERT INTO recommendation_feedback (recommendation_id, product_id, action, at)
           VALUES (gen_random_uuid(), 1, 'click', {})""",
        "35 days",
    ),
    "refresh_tokens": (
        """WITH u AS (INSERT INTO users (external_id) VALUES (gen_random_uuid()) RETURNING id)
           INSERT INTO refresh_tokens (digest, user_id, family, expires_at)
           SELECT uuid_send(gen_random_uuid()), id, gen_random_uuid(), {} FROM u""",
        "0 seconds",
    ),
    "account_links": (
        """WITH u AS (INSERT INTO users (external_id) VALUES (gen_random_uuid()) RETURNING id)
           INSERT INTO account_links (digest, user_id, purpose, email, session_epoch, expires_at)
           SELECT uuid_send(gen_random_uuid()), id, 'verify_email', 'a@b.cd', 0, {} FROM u""",
        "0 seconds",
    ),
    "audit_log": ("INSERT INTO audit_log (actor, action, subject, at) VALUES ('a', 'login', 's', {})", "13 months"),
    "login_failures": (
        "INSERT INTO login_failures (subject, failures, last_at) VALUES (uuid_send(gen_random_uuid()), 1, {})",
        "2 days",
    ),
    "search_caps": (
        """INSERT INTO search_caps (day, client, query_key)
           SELECT current_date - CASE WHEN {} < now() - interval '3 days' THEN 3 ELSE 2 END,
                  gen_random_uuid()::text, 1""",
        "3 days",
    ),
    "search_counts": (
        """INSERT INTO search_counts (day, query, searches)
           SELECT (now() - interval '13 months')::date - CASE WHEN {} < now() - interval '13 months' THEN 1 ELSE -1 END,
                  gen_random_uuid()::text, 1""",
        "13 months",
    ),
    "search_history": (
        """WITH u AS (INSERT INTO users (external_id) VALUES (gen_random_uuid()) RETURNING id)
           INSERT INTO search_history (user_id, query, last_at) SELECT id, 'lamp', {} FROM u""",
        "13 months",
    ),
    "job_runs": ("INSERT INTO job_runs (job, outcome, started_at) VALUES ('j', 'succeeded', {})", "90 days"),
    "imports": ("INSERT INTO imports (kind, source, started_at) VALUES ('post', 's', {})", "90 days"),
}


def test_every_rule_has_a_case_here() -> None:
    assert {rule.table for rule in retention.RULES} == OLD_AND_YOUNG.keys()


@pytest.mark.parametrize("table", OLD_AND_YOUNG)
def test_rows_past_their_retention_are_deleted_and_counted(env: object, serve: Serve, table: str) -> None:
    insert, age = OLD_AND_YOUNG[table]
    for past in ("1 minute", "3 minutes"):
        postgres.write(insert.format(f"now() - interval '{age}' - interval '{past}'"))
    postgres.write(insert.format(f"now() - interval '{age}' + interval '10 minutes'"))
    before = postgres.read(f"SELECT count(*) FROM {table}")[0][0]
    deleted = run(serve)["rows_deleted"]
    assert deleted == {rule.table: 2 if rule.table == table else 0 for rule in retention.RULES}
    # the run's own row is one more
    assert postgres.read(f"SELECT count(*) FROM {table}")[0][0] == before - 2 + (table == "job_runs")


def test_an_unsent_message_is_kept_however_old(env: object, serve: Serve) -> None:
    postgres.write("INSERT INTO outbox (topic, data, created_at) VALUES ('t', '', now() - interval '9 years')")
    assert run(serve)["rows_deleted"]["outbox"] == 0
    assert postgres.read("SELECT count(*) FROM outbox")[0][0] == 1


def test_more_rows_than_a_batch_all_go(env: object, serve: Serve) -> None:
    number = retention.BATCH_ROWS * 2 + 5
    postgres.write(
        f"""INSERT INTO event_ids
            SELECT gen_random_uuid(), now() - interval '2 years' FROM generate_series(1, {number})"""
    )
    assert run(serve)["rows_deleted"]["event_ids"] == number
