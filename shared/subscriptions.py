"""Reading a topic's messages in a subscriber, and applying them. What no retry can mend is kept in rejected_events.

Everything else raises, and Pub/Sub delivers the message again. docs/decisions/0053-delivery.md says which is which.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from cloudevents.http.event import CloudEvent
from pydantic import ValidationError

from shared import messages
from shared.clients.postgres_errors import permanent_fault
from shared.messages import Message
from shared.storage.events import rejected
from shared.validation import first_error

log = logging.getLogger(__name__)

Body = TypeVar("Body")
Item = TypeVar("Item")
Result = TypeVar("Result")


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


def apply_or_reject(
    message_id: str,
    items: Sequence[Item],
    apply: Callable[[Sequence[Item]], Result],
    describe: Callable[[Item], tuple[int, Any]],
) -> list[Result]:
    """Apply the items of a message and return the results, usually one; reject the items that can never be stored.

    After a permanent fault ``apply`` is called for halves of the items, until each item with the fault stands alone;
    ``describe`` then returns its position and content for rejected_events. Every other error of ``apply`` is raised:
    the message must be delivered again. Applying an item again must have no second effect.
    """
    try:
        return [apply(items)]
    except Exception as error:
        reason = permanent_fault(error)
        if reason is None:
            raise
        if len(items) > 1:
            half = len(items) // 2
            return [
                result
                for part in (items[:half], items[half:])
                for result in apply_or_reject(message_id, part, apply, describe)
            ]
        position, content = describe(items[0])
    rejected.add(message_id, [(position, content, reason)])
    log.warning("events rejected", extra={"message_id": message_id, "count": 1, "reason": reason})
    return []
