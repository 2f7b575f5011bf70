"""Orders reported by the shop's own system, published through the outbox of the transaction that marks them as read."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from shared import messages
from shared.clients.postgres import Connection
from shared.domain.order_events import REPORT
from shared.event_origin import VOUCHED
from shared.event_publishing import prepare
from shared.storage.events import outbox, rejected
from shared.validation import validation_problem


class Enqueued(NamedTuple):
    """Ids of outbox rows, and the rejected reports, each with the reason."""

    outbox: list[int]
    refused: list[tuple[Mapping[str, Any], str]]


def enqueue(connection: Connection, reports: Sequence[Mapping[str, Any]]) -> Enqueued:
    """Write a message for each report in the caller's transaction; they count in full. ``publish`` after the commit."""
    written: list[int] = []
    refused: list[tuple[Mapping[str, Any], str]] = []
    for raw in reports:
        try:
            report = REPORT.validate_python(raw)
        except ValidationError as error:
            refused.append((raw, validation_problem(error).detail))
            continue
        _event_id, events = prepare(report)
        data, attributes = messages.user_events(report.user_id, events, origin=VOUCHED)
        written.append(outbox.add(connection, messages.USER_EVENTS, data, attributes))
    return Enqueued(written, refused)


def publish(enqueued: Enqueued, source: str) -> None:
    """Publish what was committed, and record rejected reports as rejected events. ``source`` names the system.

    Idempotent for rejections, which are identified by their order and position.
    """
    if enqueued.outbox:
        outbox.publish_now(enqueued.outbox)
    for place, (raw, reason) in enumerate(enqueued.refused):
        rejected.add(f"{source}/{raw.get('order_id')}", [(place, dict(raw), reason)])
