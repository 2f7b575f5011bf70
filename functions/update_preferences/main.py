"""Event: store a user's events, fold the new ones into their preferences, drop their cached answers."""

import functions_framework
from cloudevents.http.event import CloudEvent

from shared import logs, user_events
from shared.storage.answers import cache
from shared.storage.events import ingestion


@functions_framework.cloud_event
def update_preferences(event: CloudEvent) -> None:
    """Store a message's events exactly once. Return to acknowledge, raise to be redelivered."""
    logs.configure()
    message = user_events.read(event)
    if message is None:
        return
    stored = ingestion.store(message.message_id, message.user_id, message.events)
    # after the commit, and also when nothing was new: a crash may have come between the two
    cache.forget_users([message.user_id, *filter(None, [stored.account_id])])
