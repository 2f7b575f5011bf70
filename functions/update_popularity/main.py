"""Event, purchases only: count them in Postgres and in the live popular ranking."""

from collections.abc import Sequence
from typing import Any

from cloudevents.http.event import CloudEvent

from shared import user_events
from shared.storage.answers import popular_ranking
from shared.storage.catalog import stubs
from shared.storage.events import purchase_counts
from shared.subscriptions import subscriber


@subscriber
def update_popularity(event: CloudEvent) -> None:
    """Count the purchases of a message exactly once. The job popular restores what Redis missed within a minute."""
    message = user_events.read(event)
    if message is None:
        return

    def count(events: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
        stubs.add_unknown(events)
        return purchase_counts.count(message.user_id, events, message.origin)

    parts = user_events.apply_each(message, count)
    if changes := [change for part in parts for change in part]:
        popular_ranking.count_purchases(changes)
