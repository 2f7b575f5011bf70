"""Read and apply a topic's messages in a subscriber. Permanent faults are recorded in rejected_events.

All other errors are raised, and Pub/Sub redelivers the message. docs/decisions/0053-delivery.md distinguishes the two.
"""

import functools
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import functions_framework
from cloudevents.http.event import CloudEvent
from pydantic import ValidationError

from shared import logs, messages
from shared.clients.postgres_errors import permanent_fault
from shared.messages import Message
from shared.storage.events import rejected
from shared.telemetry import metrics, spans
from shared.validation import first_error

log = logging.getLogger(__name__)

Body = TypeVar("Body")
Item = TypeVar("Item")
Result = TypeVar("Result")


def subscriber(apply: Callable[[CloudEvent], None]) -> Any:
    """Turn a function of a CloudEvent into the entry point that Eventarc calls with each message.

    Returning acknowledges the message; raising makes Pub/Sub redeliver it. The work is part of the trace of the request
    that caused the message.
    """
    name = apply.__name__

    @functools.wraps(apply)
    def entry(event: CloudEvent) -> None:
        logs.configure()
        envelope = messages.envelope_of(event) or {}
        named = messages.attributes_of(envelope).get("traceparent")
        traceparent = named if isinstance(named, str) else None
        started = time.perf_counter()
        if (published := messages.published_at(envelope)) is not None:
            age_s = max(0.0, (datetime.now(UTC) - published).total_seconds())
            metrics.record(metrics.MESSAGE_AGE, age_s, {spans.FUNCTION: name})
        outcome = "failed"
        with (
            logs.fields(**logs.trace_fields(traceparent)),
            spans.span(name, "consumer", {spans.FUNCTION: name}, traceparent=traceparent) as span,
        ):
            try:
                apply(event)
                outcome = "applied"
            except BaseException as error:
                span.fail(type(error).__name__)
                raise
            finally:
                seconds = time.perf_counter() - started
                metrics.record(metrics.APPLY_DURATION, seconds, {spans.FUNCTION: name, "aisle.outcome": outcome})
                # a failed delivery is exported before it is answered, too
                span.end()
                span.flush()

    return functions_framework.cloud_event(entry)


def read_or_reject(event: CloudEvent, schema: str, parse: Callable[[Any], Body]) -> tuple[Message, Body] | None:
    """Return the message and its parsed body; record and log a message that can never succeed, and return None.

    ``parse`` takes the decoded JSON, or None if there is none, and raises ValueError (or Pydantic's ValidationError)
    for a body that does not match ``schema``.
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
    """Apply a message's items and return the results, usually one; reject items that can never be stored.

    After a permanent fault, ``apply`` is called on halves of the items until each faulty item is isolated; ``describe``
    then returns its position and content for rejected_events. Any other error from ``apply`` propagates, so that the
    message is redelivered. Applying an item must be idempotent.
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
