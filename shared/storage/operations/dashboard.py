"""The dashboard: events by day, trending products, recommendations, cache, jobs, and work that is stuck."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson

from shared.clients import redis_sync
from shared.clients.postgres import read
from shared.storage.operations import job_runs
from shared.storage.operations.daily_stats import COUNTS
from shared.storage.recommending import attribution, models

if TYPE_CHECKING:
    from redis import Redis

DAYS: Final = 30
TOP_PRODUCTS: Final = 10

# The last counted day may have been counted before it ended, so that day and the following ones are counted live.
EVENTS_BY_DAY: Final = f"""
WITH live AS MATERIALIZED (
    SELECT greatest(least(coalesce(max(date), '-infinity'), shop_day(now())),
                    shop_day(now()) - cast(:days AS integer) + 1) AS first
    FROM daily_event_stats
)
SELECT date, event_type, event_count, unique_users, unique_products FROM daily_event_stats
WHERE date > shop_day(now()) - cast(:days AS integer) AND date < (SELECT first FROM live)
UNION ALL
SELECT (occurred_at AT TIME ZONE shop.time_zone)::date, event_type, {COUNTS}
FROM events, shop WHERE occurred_at >= (SELECT shop_midnight(first) FROM live) GROUP BY 1, 2
ORDER BY 1, 2
"""

TOP_TRENDING: Final = """
SELECT w.name, t.score, t.event_count, product_json(t.p, c, s)::text
FROM (VALUES ('7d'), ('30d')) AS w(name),
LATERAL (SELECT t.score, t.event_count, p FROM trending_scores t JOIN products p ON p.id = t.product_id
         WHERE t.time_window = w.name AND p.is_active ORDER BY t.score DESC, t.product_id LIMIT :top) AS t
LEFT JOIN categories c ON c.id = (t.p).category_id LEFT JOIN product_stats s ON s.product_id = (t.p).id
ORDER BY length(w.name), t.score DESC, (t.p).id
"""

# Events older than the days shown come from the daily counts, because counting the table would take too long.
TOTALS: Final = """
SELECT (SELECT coalesce(sum(event_count), 0)::bigint FROM daily_event_stats
        WHERE date <= shop_day(now()) - cast(:days AS integer)),
       (SELECT count(*) FROM users WHERE merged_into IS NULL), (SELECT count(*) FROM products WHERE is_active),
       (SELECT count(*) FROM rejected_events), (SELECT count(*) FROM outbox WHERE published_at IS NULL)
"""


def redis_stats() -> dict[str, Any] | None:
    """Return statistics of the Redis server since it started, over all keys; None if Redis is unavailable."""

    def read_stats(redis: "Redis") -> dict[str, Any]:
        stats: Any = redis.info("stats")
        memory: Any = redis.info("memory")
        hits, misses = int(stats["keyspace_hits"]), int(stats["keyspace_misses"])
        return {
            "hits": hits,
            "misses": misses,
            "hit_rate": round(hits / (hits + misses), 4) if hits + misses else None,
            "commands_per_second": int(stats["instantaneous_ops_per_sec"]),
            "used_memory_bytes": int(memory["used_memory"]),
        }

    return redis_sync.attempt(read_stats, None)


def render(jobs: Sequence[str]) -> bytes:
    """Return the dashboard as JSON, with the last run of each job in ``jobs``. Raises DatabaseUnavailable."""
    days = [
        {"date": row[0], "event_type": row[1], "event_count": row[2], "unique_users": row[3], "unique_products": row[4]}
        for row in read(EVENTS_BY_DAY, days=DAYS)
    ]
    trending = [
        {"product": orjson.Fragment(row[3]), "score": row[1], "event_count": row[2], "time_window": row[0]}
        for row in read(TOP_TRENDING, top=TOP_PRODUCTS)
    ]
    older, users, products, rejected, unsent = read(TOTALS, days=DAYS)[0]
    last_runs = job_runs.latest(jobs, 1)
    model = models.active()
    return orjson.dumps(
        {
            "events_by_day": days,
            "top_trending": trending,
            "recommendations": attribution.summary(DAYS),
            "api_stats": {"cache": redis_stats()},
            "total_events": older + sum(day["event_count"] for day in days),
            "total_users": users,
            "total_products": products,
            "active_model": model,
            "jobs": [run._asdict() for runs in last_runs.values() for run in runs],
            "rejected_events": rejected,
            "unsent_messages": unsent,
        }
    )
