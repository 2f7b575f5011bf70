"""Event: store a user's events, update their preferences with the new ones, and drop their stored answers."""

from collections.abc import Iterable, Sequence
from typing import Any

from cloudevents.http.event import CloudEvent

from shared import user_events
from shared.domain.events import EventType
from shared.event_origin import Origin
from shared.storage.answers import invalidation, popular_ranking
from shared.storage.catalog import searches, stubs
from shared.storage.events import ingestion
from shared.subscriptions import subscriber


def _searches(events: Iterable[dict[str, Any]], origin: Origin) -> list[tuple[str, int | None, str | None]]:
    """Return the searches of shops with their own search: `search` events whose metadata has a `query`."""
    if origin.crawler:
        return []
    found = []
    for event in events:
        metadata = event["metadata"] or {}
        if event["event_type"] != EventType.SEARCH.value or not isinstance(metadata.get("query"), str):
            continue
        results = metadata.get("results")
        known = results if type(results) is int and 0 <= results < 2**53 else None
        if (query := searches.query_of(metadata["query"])) is not None:
            found.append((query, known, None if origin.vouched else origin.client or ""))
    return found


@subscriber
def update_preferences(event: CloudEvent) -> None:
    """Store the events of a message exactly once. Returning acknowledges the message; raising redelivers it."""
    message = user_events.read(event)
    if message is None:
        return

    def store(events: Sequence[dict[str, Any]]) -> ingestion.Stored:
        stubs.add_unknown(events)
        return ingestion.store(
            message.message_id, message.user_id, events, message.origin, published_at=message.published_at
        )

    parts = user_events.apply_each(message, store)
    if any(part.new for part in parts):
        # a message that is delivered again has nothing new
        searches.record(_searches(message.events, message.origin))
    # after the commit, and also when nothing was new: a crash may have come between the two
    accounts = {part.account_id for part in parts if part.account_id}
    invalidation.forget_users([message.user_id, *sorted(accounts)])
    if changes := [change for part in parts for change in part.purchase_changes]:
        popular_ranking.count_purchases(changes)
