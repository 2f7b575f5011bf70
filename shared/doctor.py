"""Checks of a deployment from inside: settings, database, migrations, model, Redis, topics, outbox, jobs.

Each check reports what it found and, if something is wrong, what to do. Checks change nothing.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

from shared.errors import AppError
from shared.manifest import Manifest, manifest
from shared.settings import settings

Verdict = Literal["well", "warning", "failed", "skipped"]
# A job is late if it has not started for this many of its intervals.
LATE_INTERVALS: Final = 3
TIMEOUT_S: Final = 5.0


class Finding(NamedTuple):
    """The result of a check."""

    check: str
    verdict: Verdict
    detail: str


def run_checks() -> Iterator[Finding]:
    """Run every check and yield its finding; a check that raises yields a failed finding."""
    checks: dict[str, Callable[[], Finding]] = {
        "settings": _settings,
        "database": _database,
        "migrations": _migrations,
        "model": _model,
        "redis": _redis,
        "topics": _topics,
        "outbox": _outbox,
        "jobs": _jobs,
    }
    for name, check in checks.items():
        try:
            yield check()
        except AppError as error:
            yield Finding(name, "failed", error.detail or error.title)
        except Exception as error:  # noqa: BLE001 — an error in a check is a finding
            yield Finding(name, "failed", f"{type(error).__name__}: {str(error)[:300]}")


def _settings() -> Finding:
    config = settings()
    database = config.cloud_sql_instance or config.database_url
    missing = [
        name
        for name, value in (
            ("CLOUD_SQL_INSTANCE or DATABASE_URL", database),
            ("REDIS_URL", config.redis_url),
            ("GOOGLE_CLOUD_PROJECT", config.google_cloud_project),
            ("ADMIN_TOKEN", config.admin_token),
        )
        if value is None
    ]
    if config.cloud_sql_instance and config.database_user is None:
        missing.append("DATABASE_USER")
    if missing:
        return Finding("settings", "failed", f"Not set: {', '.join(missing)}.")
    if config.environment == "prod" and "*" in config.cors_origins:
        return Finding("settings", "warning", "CORS_ORIGINS is * in production: set it to the shop's own origins.")
    return Finding("settings", "well", f"environment {config.environment}")


def _database() -> Finding:
    from shared.clients import postgres

    user, role, version, connections, max_connections = postgres.read(
        "SELECT session_user, current_user, current_setting('server_version'), "
        "(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'), "
        "current_setting('max_connections')::int"
    )[0]
    detail = f"PostgreSQL {version} as {user} in the role {role}, {connections} of {max_connections} connections"
    return Finding("database", "warning" if connections > 0.8 * max_connections else "well", detail)


def _migrations() -> Finding:
    from shared.storage.schema import migrations

    pending = migrations.pending()
    if pending:
        return Finding("migrations", "failed", f"Not applied: {', '.join(pending)}. Run the job `migrate`.")
    return Finding("migrations", "well", f"all {len(migrations.available())} applied")


def _model() -> Finding:
    from shared.storage.operations import training_batches
    from shared.storage.recommending import models

    model = models.active()
    if model is None:
        return Finding("model", "warning", "No model is active: run the job `similarity` once there are events.")
    published = f"version {model.version} ({model.algorithm}), published {model.published_at:%Y-%m-%d %H:%M} UTC"
    batch = training_batches.latest("similarity")
    if batch is not None and batch.outcome == "kept":
        return Finding("model", "warning", f"{published}; the training {batch.id} failed: {batch.reason}")
    return Finding("model", "well", published)


def _redis() -> Finding:
    from redis.exceptions import RedisError

    from shared.clients import redis_sync

    try:
        memory = redis_sync.client().info("memory")
        version = redis_sync.client().info("server")["redis_version"]
    except (RedisError, OSError) as error:
        return Finding(
            "redis", "failed", f"{error}. Every answer is computed until Redis is back (docs/runbooks/redis-lost.md)."
        )
    used, maximum = memory["used_memory"], memory["maxmemory"]
    detail = f"Redis {version}, {used / 2**20:.0f} MiB of {maximum / 2**20:.0f} MiB"
    policy = memory.get("maxmemory_policy", "allkeys-lru")
    if policy != "allkeys-lru":
        return Finding("redis", "warning", f"{detail}; set maxmemory-policy to allkeys-lru, not {policy}")
    return Finding("redis", "well", detail)


def _topics() -> Finding:
    from google.api_core.exceptions import NotFound

    from shared.clients import pubsub

    missing = []
    for topic in manifest().topics:
        try:
            pubsub.publisher().get_topic(topic=pubsub.topic_path(topic), timeout=TIMEOUT_S, retry=None)
        except NotFound:
            missing.append(topic)
    if missing:
        return Finding("topics", "failed", f"Missing: {', '.join(missing)}. `terraform apply` creates them.")
    return Finding("topics", "well", ", ".join(manifest().topics))


def _outbox() -> Finding:
    from shared.storage.events import outbox, rejected

    unsent, rejections = outbox.count_unsent(), rejected.count()
    detail = f"unpublished messages: {unsent}, rejected events: {rejections}"
    return Finding("outbox", "warning" if unsent else "well", detail)


def interval(schedule: str) -> timedelta:
    """Return the approximate time between two runs of a cron schedule."""
    minute, hour, day, _month, weekday = schedule.split()
    if minute == "*":
        return timedelta(minutes=1)
    if minute.startswith("*/"):
        return timedelta(minutes=int(minute[2:]))
    if hour == "*" or hour.startswith("*/"):
        return timedelta(hours=1 if hour == "*" else int(hour[2:]))
    if weekday != "*":
        return timedelta(days=7)
    return timedelta(days=1 if day == "*" else 31)


def _jobs(deployed: Manifest | None = None) -> Finding:
    from shared.storage.operations import job_runs

    scheduled = [entry for entry in (deployed or manifest()).of_kind("job") if entry.schedule]
    latest = job_runs.latest([entry.name for entry in scheduled], 1)
    now, failed, late, never = datetime.now(UTC), [], [], []
    for entry in scheduled:
        assert entry.schedule is not None
        if not latest[entry.name]:
            never.append(entry.name)
        elif latest[entry.name][0].outcome == "failed":
            failed.append(f"{entry.name} ({latest[entry.name][0].details.get('error', 'no reason recorded')})")
        elif now - latest[entry.name][0].started_at > LATE_INTERVALS * interval(entry.schedule) + timedelta(minutes=5):
            late.append(f"{entry.name} (last {latest[entry.name][0].started_at:%Y-%m-%d %H:%M} UTC)")
    parts = {"failed": failed, "late": late, "never ran": never}
    detail = "; ".join(f"{name}: {', '.join(jobs)}" for name, jobs in parts.items() if jobs)
    if failed or late:
        return Finding("jobs", "failed", detail)
    return Finding("jobs", "warning" if never else "well", detail or f"all {len(scheduled)} ran on time")
