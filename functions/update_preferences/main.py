"""Event: store a user's events, update their preferences with the new ones, and drop their stored answers."""

import functions_framework
from cloudevents.http.event import CloudEvent

from shared import logs, user_events
from shared.storage.answers import invalidation, popular_ranking
from shared.storage.catalog import stubs
from shared.storage.events import ingestion


@functions_framework.cloud_event
def update_preferences(event: CloudEvent) -> None:
    """Store the events of a message exactly once. Returning acknowledges the message; raising redelivers it."""
    logs.configure()
    message = user_events.read(event)
    if message is None:
        return
    stubs.add_unknown(message.events)
    stored = ingestion.store(
        message.message_id, message.user_id, message.events, message.origin, published_at=message.published_at
    )
    # after the commit, and also when nothing was new: a crash may have come between the two
    invalidation.forget_users([message.user_id, *filter(None, [stored.account_id])])
    if stored.purchase_changes:
        popular_ranking.count_purchases(stored.purchase_changes)
