"""What can never succeed: kept with its reason and acknowledged, since a retry cannot mend it."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from shared.storage import database

INSERT: Final = """
INSERT INTO rejected_events (message_id, position, event, reason)
SELECT :message_id, r.position, r.event, r.reason
FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(position integer, event jsonb, reason text)
ON CONFLICT DO NOTHING
"""


def keep(message_id: str, rows: Sequence[tuple[int, Any, str]]) -> None:
    """Keep ``(position, event, reason)`` rows of a message; position -1 is the message itself. Idempotent."""
    if rows:
        listed = [{"position": position, "event": event, "reason": reason[:1000]} for position, event, reason in rows]
        database.write(INSERT, message_id=message_id, rows=orjson.dumps(listed, default=repr).decode())
