"""Reading a topic's messages in a subscriber. A message that no retry can mend is kept in rejected_events instead."""

from collections.abc import Callable
from typing import Any, TypeVar

from cloudevents.http.event import CloudEvent
from pydantic import ValidationError

from shared import messages
from shared.messages import Message
from shared.storage.events import rejected
from shared.validation import first_error

Body = TypeVar("Body")


def read_or_reject(event: CloudEvent, schema: str, parse: Callable[[Any], Body]) -> tuple[Message, Body] | None:
    """Return the message and its parsed body; None after a message that can never succeed was recorded and logged.

    ``parse`` takes the decoded JSON, None where there is none, and raises ValueError (or Pydantic's ValidationError)
    for a body that is not of ``schema``.
    """
    try:
        message = messages.read(event, schema)
    except messages.UnreadableMessage as error:
        rejected.add_envelope(event, str(error))
        return None
    try:
        return message, parse(message.body)
    except ValueError as error:
        detail = first_error(error) if isinstance(error, ValidationError) else str(error)
        rejected.add_message(message, f"not a {schema} message: {detail}")
        return None
