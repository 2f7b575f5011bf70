"""Job, daily: events, users and products per day and type, and outcomes of recommendations, for the dashboard."""

from typing import Annotated, Any

from pydantic import Field

from shared.clients.postgres import transaction
from shared.job import Parameters, job
from shared.settings import settings
from shared.storage.answers import invalidation, protocol
from shared.storage.operations.daily_stats import days_to_count, oldest_given_back, refresh
from shared.storage.recommending import attribution


class DailyStats(Parameters):
    """``days`` : days to recount, today included; more than the default is a backfill."""

    days: Annotated[int, Field(ge=1, le=4000, strict=True)] = 2


@job
def daily_stats(parameters: DailyStats) -> dict[str, Any]:
    """Count the last days, days that were never counted, and days that changed. Idempotent.

    A day has changed if events for it were received since the last successful run, or purchases of it were refunded.

    Returns the first and last day, and the numbers of days, events and logged answers counted.
    """
    with transaction(statement_timeout_s=0) as connection:
        days = days_to_count(connection, parameters.days, settings().event_retention_months)
        events = refresh(connection, days)
        since = oldest_given_back(connection)
        # a purchase may be attributed to an answer of the day before
        answers = attribution.count_days(connection, max(parameters.days, 3), since=since)
    return {
        "first": days[0].isoformat(),
        "last": days[-1].isoformat(),
        "days": len(days),
        "events": events,
        "answers": answers,
        "cache_flushed": invalidation.flush(protocol.DASHBOARD),
    }
