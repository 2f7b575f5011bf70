"""The table ``rejected_events``: events and messages that no retry can store, each with the reason.

A subscriber records them here and acknowledges the message. Characters and numbers that Postgres cannot store are
escaped.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from shared.clients import postgres
from shared.domain.json_values import escaped_json, escaped_text
from shared.messages import Message, storable_id
from shared.storage.paging import PagedList, Place

log = logging.getLogger(__name__)

# The position that marks a rejected message, as opposed to one of its events.
MESSAGE: Final = -1
MAX_REASON_CHARACTERS: Final = 1000
MAX_DATA_BYTES: Final = 100_000
MAX_ENVELOPE_CHARACTERS: Final = 10_000
MAX_MESSAGE_ID_CHARACTERS: Final = 500

ADD: Final = """
INSERT INTO rejected_events (message_id, position, event, reason)
SELECT :message_id, r.position, r.event, r.reason
FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(position integer, event jsonb, reason text)
ON CONFLICT DO NOTHING
"""
PAGE: Final = """
SELECT id, message_id, position, event, reason, rejected_at
FROM rejected_events WHERE {after} ORDER BY id DESC LIMIT :limit OFFSET :offset
"""
COUNT: Final = "SELECT count(*) FROM rejected_events"
ENTRIES: Final = PagedList("rejected-events", PAGE, COUNT, [("id", True, "bigint")], places=(0,))


class Rejected(NamedTuple):
    """A rejected event, with its position in the message, or the message itself (position MESSAGE)."""

    id: int
    message_id: str
    position: int
    event: Any
    reason: str
    rejected_at: datetime


def add(message_id: str, rows: Sequence[tuple[int, Any, str]]) -> None:
    """Record ``(position, event, reason)`` rows of a message; idempotent.

    What PostgreSQL cannot store is escaped, because a row that failed would block its whole message.
    """
    if rows:
        records = [
            {
                "position": position,
                "event": escaped_json(event),
                "reason": escaped_text(reason)[:MAX_REASON_CHARACTERS],
            }
            for position, event, reason in rows
        ]
        postgres.write(ADD, message_id=storable_id(message_id), rows=orjson.dumps(records).decode())


def add_message(message: Message, reason: str) -> None:
    """Record a message whose body is not valid for its topic."""
    # Bytes that are not valid UTF-8 stay visible as escapes.
    data = message.raw[:MAX_DATA_BYTES].decode("utf-8", "backslashreplace")
    _add_and_log(message.id, {"data": data, "attributes": dict(message.attributes)}, reason)


def add_envelope(event: Any, reason: str) -> None:
    """Record a CloudEvent that carries no Pub/Sub message."""
    _add_and_log(event["id"], {"data": repr(event.data)[:MAX_ENVELOPE_CHARACTERS]}, reason)


def _add_and_log(message_id: str, content: dict[str, Any], reason: str) -> None:
    add(message_id, [(MESSAGE, content, reason)])
    log.warning("message rejected", extra={"message_id": storable_id(message_id), "reason": reason})


def page(place: Place) -> tuple[list[Rejected], int, str | None]:
    """Return a page of rejected events and messages, newest first, their total number and the next page's cursor.

    Raises InvalidRequest for an invalid cursor.
    """
    rows, total, following = ENTRIES.read(place)
    return [Rejected(*row) for row in rows], total, following


def count() -> int:
    """Return the number of rejected events and messages."""
    return int(postgres.read(COUNT)[0][0])
