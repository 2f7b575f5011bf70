"""Reading a ``user-events/1`` message on the subscribers' side."""

import logging
from dataclasses import dataclass
from typing import Any

from cloudevents.http.event import CloudEvent
from pydantic import ValidationError

from shared import messages
from shared.domain.events import Event, EventType, event_key
from shared.storage.events import rejected

log = logging.getLogger(__name__)
MAX_QUANTITY = 10_000


@dataclass(frozen=True)
class UserEvents:
    """One user's events, each ``{position, event_id, product_id, event_type, quantity, occurred_at, …}``."""

    message_id: str
    user_id: str
    events: list[dict[str, Any]]


def quantity_of(event: Event) -> int:
    """Return how many pieces a purchase was of: metadata's ``quantity``, 1 where it is missing or makes no sense."""
    quantity = (event.metadata or {}).get("quantity", 1)
    if isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 1:
        return 1
    return min(quantity, MAX_QUANTITY)


def read(cloud_event: CloudEvent) -> UserEvents | None:
    """Read a message; what can never succeed goes to rejected_events with its reason. None when nothing is left."""
    try:
        message = messages.read(cloud_event, messages.USER_EVENTS_SCHEMA)
    except messages.UnreadableMessage as error:
        rejected.add_envelope(cloud_event, str(error))
        return None
    body = message.body
    if not isinstance(body, dict) or not isinstance(body.get("events"), list):
        rejected.add_message(message, f"not a {messages.USER_EVENTS_SCHEMA} message")
        return None
    user_id = body.get("user_id")
    good: list[dict[str, Any]] = []
    bad: list[tuple[int, Any, str]] = []
    for position, raw_event in enumerate(body["events"]):
        try:
            event = Event.model_validate({"user_id": user_id, **raw_event})
            if event.event_id is None or event.timestamp is None:
                raise ValueError("event_id and timestamp are required in a message")
        except (ValidationError, ValueError, TypeError) as error:
            bad.append((position, {"user_id": user_id, "event": raw_event}, str(error)))
            continue
        good.append(
            {
                "position": position,
                "event_id": str(event_key(event.event_id)),
                "product_id": event.product_id,
                "event_type": event.event_type.value,
                "quantity": quantity_of(event) if event.event_type is EventType.PURCHASE else 1,
                "occurred_at": event.timestamp.isoformat(),
                "session_id": event.session_id,
                "metadata": event.metadata,
            }
        )
    if bad:
        rejected.add(message.id, bad)
        log.warning("events rejected", extra={"message_id": message.id, "count": len(bad), "reason": bad[0][2][:300]})
    return UserEvents(message.id, str(user_id), good) if good else None
