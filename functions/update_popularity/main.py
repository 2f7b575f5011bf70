"""Event, purchases only: count them in Postgres and in the live popular ranking."""

import functions_framework
from cloudevents.http.event import CloudEvent

from shared import logs, user_events
from shared.storage.answers import popular_ranking
from shared.storage.catalog import stubs
from shared.storage.events import purchase_counts


@functions_framework.cloud_event
def update_popularity(event: CloudEvent) -> None:
    """Count the purchases of a message exactly once. The job popular restores what Redis missed within a minute."""
    logs.configure()
    message = user_events.read(event)
    if message is None:
        return
    stubs.add_unknown(message.events)
    changed = purchase_counts.count(message.user_id, message.events, message.origin)
    if changed:
        popular_ranking.count_purchases(changed)
