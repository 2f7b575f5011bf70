"""Reading a topic's messages in a subscriber. A message that no retry can mend is kept in rejected_events instead."""

import logging
from collections.abc import Callable
from typing import Any, Final, TypeVar

from cloudevents.http.event import CloudEvent
from pydantic import ValidationError

from shared import messages
from shared.messages import Message
from shared.storage.events import rejected
from shared.validation import first_error

log = logging.getLogger(__name__)
# of rejected_events.position: the row is the whole message, not one of its events
WHOLE_MESSAGE: Final = -1
MAX_ENVELOPE_CHARACTERS: Final = 10_000
MAX_DATA_BYTES: Final = 100_000

Body = TypeVar("Body")


def read_or_reject(event: CloudEvent, schema: str, parse: Callable[[Any], Body]) -> tuple[Message, Body] | None:
    """Return the message and its parsed body; None after a message that can never succeed was kept and logged.

    ``parse`` takes the decoded JSON, None where there is none, and raises ValueError (or Pydantic's ValidationError)
    for a body that is not of ``schema``.
    """
    try:
        message = messages.read(event, schema)
    except messages.UnreadableMessage as error:
        _reject(str(event["id"]), {"data": repr(event.data)[:MAX_ENVELOPE_CHARACTERS]}, str(error))
        return None
    try:
        return message, parse(message.body)
    except ValueError as error:
        detail = first_error(error) if isinstance(error, ValidationError) else str(error)
        # jsonb holds no NUL, and bytes that are not UTF-8 are worth seeing
        text = message.raw[:MAX_DATA_BYTES].decode("utf-8", "backslashreplace").replace("\0", "\\0")
        raw = {"data": text, "attributes": dict(message.attributes)}
        _reject(message.id, raw, f"not a {schema} message: {detail}")
        return None


def _reject(message_id: str, raw: dict[str, Any], reason: str) -> None:
    rejected.keep(message_id, [(WHOLE_MESSAGE, raw, reason)])
    log.warning("message rejected", extra={"message_id": message_id, "reason": reason})
