"""Read a ``user-events/1`` message in a subscriber."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from cloudevents.http.event import CloudEvent
from pydantic import ValidationError

from shared import messages
from shared.domain.events import Event, EventType, event_key, quantity_of
from shared.domain.json_values import escaped_text
from shared.event_origin import VOUCHED, Origin
from shared.storage.events import rejected
from shared.subscriptions import apply_or_reject, read_or_reject

log = logging.getLogger(__name__)

MAX_CLIENT_CHARACTERS: Final = 100
Result = TypeVar("Result")


@dataclass(frozen=True)
class UserEvents:
    """One user's valid events, each in the form that ``ingestion.store`` expects."""

    message_id: str
    user_id: str
    events: list[dict[str, Any]]
    published_at: datetime | None
    origin: Origin = VOUCHED


def read(cloud_event: CloudEvent) -> UserEvents | None:
    """Return a message's valid events; None if there are none.

    An invalid event, or a message that does not match the schema, is recorded in rejected_events with the reason, since
    a retry could not fix it.
    """
    readable = read_or_reject(cloud_event, messages.USER_EVENTS_SCHEMA, _body)
    if readable is None:
        return None
    message, body = readable
    user_id = body.get("user_id")
    valid: list[dict[str, Any]] = []
    invalid: list[tuple[int, Any, str]] = []
    for position, raw_event in enumerate(body["events"]):
        try:
            # The message's user, for whom the events are stored.
            event = Event.model_validate({**raw_event, "user_id": user_id})
            if event.event_id is None or event.timestamp is None:
                raise ValueError("event_id and timestamp are required in a message")
            if event.event_type is EventType.REFUND and not (event.metadata or {}).get("order_id"):
                raise ValueError("a refund needs metadata.order_id")
        except (ValidationError, ValueError, TypeError) as error:
            invalid.append((position, {"user_id": user_id, "event": raw_event}, str(error)))
            continue
        valid.append(
            {
                "position": position,
                "event_id": str(event_key(event.event_id)),
                "product_id": event.product_id,
                "external_id": event.external_id,
                "event_type": event.event_type.value,
                "quantity": quantity_of(event) if event.event_type in (EventType.PURCHASE, EventType.REFUND) else 1,
                "occurred_at": event.timestamp.isoformat(),
                "session_id": event.session_id,
                "metadata": event.metadata,
            }
        )
    if invalid:
        rejected.add(message.id, invalid)
        log.warning(
            "events rejected", extra={"message_id": message.id, "count": len(invalid), "reason": invalid[0][2][:300]}
        )
    if not valid:
        return None
    return UserEvents(message.id, str(user_id), valid, message.published_at, _origin(body))


def apply_each(message: UserEvents, apply: Callable[[Sequence[dict[str, Any]]], Result]) -> list[Result]:
    """Return the results of ``apply`` for the events of a message; those that can never be stored are rejected."""

    def describe(event: dict[str, Any]) -> tuple[int, Any]:
        content = {key: value for key, value in event.items() if key != "position"}
        return event["position"], {"user_id": message.user_id, "event": content}

    return apply_or_reject(message.message_id, message.events, apply, describe)


def _origin(body: dict[str, Any]) -> Origin:
    """Return a message's origin. Only our own functions publish, and those of the previous release gave none."""
    if "vouched" not in body:
        return VOUCHED
    client = body.get("client")
    known = None if client is None else escaped_text(str(client))[:MAX_CLIENT_CHARACTERS]
    return Origin(body["vouched"] is True, known, body.get("crawler") is True)


def _body(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object, with the attribute schema on the message")
    if not isinstance(body.get("events"), list):
        raise ValueError("events must be a list")
    return body
