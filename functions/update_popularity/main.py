"""Event, purchases only: count them in Postgres and move the live popular ranking in Redis."""

import functions_framework
from cloudevents.http.event import CloudEvent

from shared import logs, user_events
from shared.domain.events import EventType
from shared.storage.answers import cache
from shared.storage.events import ingestion


@functions_framework.cloud_event
def update_popularity(event: CloudEvent) -> None:
    """Count a message's purchases exactly once. What Redis misses, the popular job mends within a minute."""
    logs.configure()
    message = user_events.read(event)
    if message is None:
        return
    purchases = [one for one in message.events if one["event_type"] == EventType.PURCHASE]
    if not purchases:
        return
    changed = ingestion.count_purchases(
        [event["event_id"] for event in purchases], [event["product_id"] for event in purchases]
    )
    if changed:
        cache.count_purchases(changed)
