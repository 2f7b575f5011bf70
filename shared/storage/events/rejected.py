"""What can never succeed: kept with its reason and acknowledged, since a retry cannot mend it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from shared.clients import postgres

INSERT: Final = """
INSERT INTO rejected_events (message_id, position, event, reason)
SELECT :message_id, r.position, r.event, r.reason
FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(position integer, event jsonb, reason text)
ON CONFLICT DO NOTHING
"""
PAGE: Final = """
SELECT id, message_id, position, event, reason, rejected_at
FROM rejected_events ORDER BY id DESC LIMIT :limit OFFSET :offset
"""
COUNT: Final = "SELECT count(*) FROM rejected_events"


class Rejected(NamedTuple):
    """What was not taken: one event of a message by its position, or (-1) the whole message."""

    id: int
    message_id: str
    position: int
    event: Any
    reason: str
    rejected_at: datetime


def keep(message_id: str, rows: Sequence[tuple[int, Any, str]]) -> None:
    """Keep ``(position, event, reason)`` rows of a message; position -1 is the message itself. Idempotent."""
    if rows:
        listed = [{"position": position, "event": event, "reason": reason[:1000]} for position, event, reason in rows]
        postgres.write(INSERT, message_id=message_id, rows=orjson.dumps(listed, default=repr).decode())


def page(limit: int, offset: int) -> tuple[list[Rejected], int]:
    """Return what was rejected, newest first, and how much there is in all."""
    rows = postgres.read(PAGE, limit=limit, offset=offset)
    return [Rejected(*row) for row in rows], int(postgres.read(COUNT)[0][0])
