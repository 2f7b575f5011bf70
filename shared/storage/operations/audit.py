"""The audit log: each change through the admin routes, who made it, written in the transaction of the change."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from shared.clients.postgres import Connection, execute, read
from shared.logs import current_request_id

ADD: Final = """
INSERT INTO audit_log (actor, action, subject, before, after, request_id)
VALUES (:actor, :action, :subject, cast(:before AS jsonb), cast(:after AS jsonb), :request_id)
"""
PAGE: Final = """
SELECT id, at, actor, action, subject, before, after, request_id
FROM audit_log ORDER BY at DESC, id DESC LIMIT :limit OFFSET :offset
"""
COUNT: Final = "SELECT count(*) FROM audit_log"


class Entry(NamedTuple):
    """A change; ``before`` and ``after`` hold the changed values if the action records them."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str | None


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(dict(value), default=str).decode()


def record(
    connection: Connection,
    actor: str,
    action: str,
    subject: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry inside the caller's transaction, with the id of the current request."""
    execute(
        connection,
        ADD,
        {
            "actor": actor,
            "action": action,
            "subject": subject,
            "before": _json(before),
            "after": _json(after),
            "request_id": current_request_id(),
        },
    )


def page(limit: int, offset: int) -> tuple[list[Entry], int]:
    """Return entries, newest first, and their total number."""
    return [Entry(*row) for row in read(PAGE, limit=limit, offset=offset)], int(read(COUNT)[0][0])
