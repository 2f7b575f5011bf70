"""Event, purchases only: count them in Postgres and move the live popular ranking in Redis."""

import functions_framework
from cloudevents.http.event import CloudEvent

from shared import logs, user_events
from shared.domain.events import EventType
from shared.storage import cache, events


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
    changed = events.count_purchases([one["event_id"] for one in purchases], [one["product_id"] for one in purchases])
    if changed:
        cache.count_purchases(changed)
