"""Publish users' events: validate, authorise, assign ids and times, and pass one message per user to Pub/Sub.

Functions that accept events in other formats translate them to ``Event`` fields and call the same two functions.
Neither Postgres nor Redis is needed.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final
from uuid import uuid5

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from shared import event_origin, messages
from shared.auth import Action, Credential, authorise
from shared.clients import pubsub
from shared.domain.events import EVENT_ID_NAMESPACE, MAX_EVENTS_PER_REQUEST, Event, clamped, uuid7
from shared.domain.order_events import REPORT, Report, ReportedOrder, ReportedRefund, events_of
from shared.errors import AppError, InvalidRequest, PubSubUnavailable, Unauthorized
from shared.logs import current_traceparent
from shared.telemetry import spans
from shared.validation import MAX_ERRORS, validation_problem

# Larger batches are validated in a thread instead of on the event loop.
LARGE_BATCH: Final = 25
# Number of events in a batch that count as one request in the rate limit.
EVENTS_PER_REQUEST: Final = 10
# The fields of all report types.
REPORT_FIELDS: Final[frozenset[str]] = frozenset().union(
    *(model.model_fields for model in (Event, ReportedOrder, ReportedRefund))
)


@dataclass(frozen=True)
class BatchResult:
    """How many events of a batch were accepted, and the error for each other event, by index.

    ``notes`` describe, by index, what was changed in accepted events.
    """

    accepted: int
    rejected: Mapping[int, AppError]
    notes: Mapping[int, str] = field(default_factory=dict)


def prepare(report: Report, idempotency_key: str | None = None, index: int = 0) -> tuple[str, list[dict[str, Any]]]:
    """Return the report's id, and its events in message form, each with an id and a time.

    A missing id becomes a new UUIDv7 or, with an idempotency key, is derived from user, key and ``index``, so that a
    repeated request counts once.
    """
    event_id = report.event_id
    if event_id is None:
        key = f"{report.user_id}\n{idempotency_key}\n{index}"
        event_id = str(uuid7() if idempotency_key is None else uuid5(EVENT_ID_NAMESPACE, key))
    now = datetime.now(UTC)
    return event_id, [
        {
            "event_id": own_id,
            **({} if event.external_id is None else {"external_id": event.external_id}),
            "product_id": event.product_id,
            "event_type": event.event_type.value,
            "timestamp": clamped(event.timestamp or now, now).isoformat(),
            "session_id": event.session_id,
            "metadata": event.metadata,
        }
        for own_id, event in events_of(report, event_id)
    ]


def clock_note(report: Report) -> str | None:
    """Return a note for the sender if the report's time is in the future, otherwise None."""
    now = datetime.now(UTC)
    if report.timestamp is None or clamped(report.timestamp, now) == report.timestamp:
        return None
    return "timestamp was in the future, so the time of the request counts; send sent_at if the clock may be wrong"


def cost_of(raw_events: Sequence[Any]) -> int:
    """Return the rate-limit cost of a batch beyond one request.

    Each user's events form a separate message, which costs as much as a message with one event. Only the shop's own
    server sends batches for many users. A line of an order counts as an event.
    """
    events = [raw for raw in raw_events if isinstance(raw, dict)]
    lines = sum(len(raw["lines"]) - 1 for raw in events if isinstance(raw.get("lines"), list) and raw["lines"])
    by_number = (len(raw_events) + lines) // EVENTS_PER_REQUEST
    if event_origin.current().vouched:
        return by_number
    users = {str(raw.get("user_id")) for raw in events}
    return max(by_number, len(users) - 1)


async def publish_event(report: Report, credential: Credential, idempotency_key: str | None = None) -> str:
    """Publish one report and return its id once Pub/Sub has stored it. Raises Unauthorized and PubSubUnavailable."""
    authorise(report.user_id, credential, Action.WRITE_EVENTS)
    event_id, events = prepare(report, idempotency_key)
    try:
        await _publish(report.user_id, events)
    except PubSubUnavailable as error:
        raise _of_event(error, event_id) from error
    return event_id


def _of_event(error: PubSubUnavailable, event_id: str) -> PubSubUnavailable:
    """Return the error for an event that Pub/Sub did not confirm: what is known about it, and its id."""
    known = (
        "Pub/Sub did not confirm the event, which may have been accepted all the same"
        if error.was_sent
        else "Pub/Sub does not answer, and the event was not accepted"
    )
    own = PubSubUnavailable(
        f"{known}: send it again with this event_id, and it counts once.",
        retry_after_s=int(error.headers["Retry-After"]),
        event_id=event_id,
        may_have_been_taken=error.was_sent,
    )
    own.was_sent = error.was_sent
    return own


def _of_batch(error: PubSubUnavailable, event_ids: Mapping[int, str], indexes: Sequence[int]) -> PubSubUnavailable:
    """Return the error for a batch of which Pub/Sub confirmed no message."""
    events = [{"index": index, "event_id": event_ids[index]} for index in indexes]
    return unconfirmed(error, "send them again with these event_ids, and each counts once.", events=events)


def unconfirmed(error: PubSubUnavailable, advice: str, **extra: Any) -> PubSubUnavailable:
    """Return the error for events that Pub/Sub did not confirm: what is known, and what the client can do."""
    known = "which may have been accepted all the same" if error.was_sent else "and they were not accepted"
    own = PubSubUnavailable(
        f"Pub/Sub did not confirm the events, {known}: {advice}",
        retry_after_s=int(error.headers["Retry-After"]),
        may_have_been_taken=error.was_sent,
        **extra,
    )
    own.was_sent = error.was_sent
    return own


async def publish_batch(
    raw_events: Sequence[Any], credential: Credential, idempotency_key: str | None = None
) -> BatchResult:
    """Publish a batch as one message per user, and return what was accepted once Pub/Sub has stored it.

    ``raw_events`` have the fields of ``Report``, not yet validated. An event that is invalid, or whose user the
    credential does not cover, is rejected individually; so are the events of a message that Pub/Sub refused. Raises
    PubSubUnavailable if it refused every message, with the ids under which to send the events again.
    """
    if len(raw_events) > LARGE_BATCH:
        by_user, rejected, notes, event_ids = await run_in_threadpool(_sort, raw_events, credential, idempotency_key)
    else:
        by_user, rejected, notes, event_ids = _sort(raw_events, credential, idempotency_key)
    sent = [(user_id, part) for user_id, events in by_user.items() for part in _messages(events)]
    outcomes = await asyncio.gather(
        *(_publish(user_id, list(chain.from_iterable(part.values()))) for user_id, part in sent), return_exceptions=True
    )
    refusals = [outcome for outcome in outcomes if isinstance(outcome, PubSubUnavailable)]
    for (_user_id, part), outcome in zip(sent, outcomes, strict=True):
        if isinstance(outcome, PubSubUnavailable):
            rejected.update({index: _of_event(outcome, event_ids[index]) for index in part})
        elif isinstance(outcome, AppError):
            rejected.update(dict.fromkeys(part, outcome))
        elif isinstance(outcome, BaseException):
            raise outcome
    if refusals and len(refusals) == len(sent):
        # A single message that was sent makes the whole batch's outcome uncertain.
        worst = max(refusals, key=lambda refusal: refusal.was_sent)
        raise _of_batch(worst, event_ids, sorted(index for _user_id, part in sent for index in part))
    kept = {index: note for index, note in notes.items() if index not in rejected}
    return BatchResult(len(raw_events) - len(rejected), dict(sorted(rejected.items())), kept)


def _messages(events: Mapping[int, list[dict[str, Any]]]) -> Iterator[dict[int, list[dict[str, Any]]]]:
    """Yield a user's events in parts of at most MAX_EVENTS_PER_REQUEST events, without splitting a report."""
    part: dict[int, list[dict[str, Any]]] = {}
    size = 0
    for index, prepared in events.items():
        if part and size + len(prepared) > MAX_EVENTS_PER_REQUEST:
            yield part
            part, size = {}, 0
        part[index] = prepared
        size += len(prepared)
    if part:
        yield part


def _sort(
    raw_events: Sequence[Any], credential: Credential, idempotency_key: str | None
) -> tuple[dict[str, dict[int, list[dict[str, Any]]]], dict[int, AppError], dict[int, str], dict[int, str]]:
    """Return the prepared events by user and index, and by index the other events' errors, notes and event ids."""
    rejected: dict[int, AppError] = {}
    notes: dict[int, str] = {}
    event_ids: dict[int, str] = {}
    by_user: dict[str, dict[int, list[dict[str, Any]]]] = defaultdict(dict)
    listed = 0
    for index, raw in enumerate(raw_events):
        try:
            event = _validated(raw)
            authorise(event.user_id, credential, Action.WRITE_EVENTS)
        except (Unauthorized, InvalidRequest) as error:
            # The fields of the first errors are enough to find the fault; each event's detail names its first error.
            if (listed := listed + len(error.errors)) > MAX_ERRORS:
                error.errors = ()
            rejected[index] = error
        else:
            event_ids[index], by_user[event.user_id][index] = prepare(event, idempotency_key, index)
            if (note := clock_note(event)) is not None:
                notes[index] = note
    return by_user, rejected, notes, event_ids


def _validated(raw: Any) -> Report:
    """Return the report. Raises InvalidRequest."""
    if isinstance(raw, dict) and len(raw) > MAX_ERRORS:
        # Pydantic would create an error for every field.
        unknown = next(name for name in raw if name not in REPORT_FIELDS)
        raise InvalidRequest(f"An event has at most {len(REPORT_FIELDS)} fields; `{unknown}` is unknown.")
    try:
        return REPORT.validate_python(raw)
    except ValidationError as error:
        raise validation_problem(error) from None


async def _publish(user_id: str, events: list[dict[str, Any]]) -> None:
    """Publish one message and wait until Pub/Sub has stored it. Raises PubSubUnavailable."""
    described: dict[str, spans.Value] = {"messaging.system": "gcp_pubsub", "messaging.batch.message_count": len(events)}
    with spans.span(f"publish {messages.USER_EVENTS}", "producer", described):
        data, attributes = messages.user_events(user_id, events, current_traceparent(), event_origin.current())
        future = None
        try:
            future = pubsub.send(messages.USER_EVENTS, data, attributes)
            await asyncio.wait_for(asyncio.wrap_future(future), pubsub.wait_s())
        except Exception as error:
            raise pubsub.refused(error, future) from error
