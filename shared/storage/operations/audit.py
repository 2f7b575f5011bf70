"""The audit log: every change by staff and scripts, and security events, written in the transaction of the change.

Staff and customers are stored by row id (a trigger of migration 0007 replaces `acct_…` as an actor and `user:…` as a
subject), other actors by name. So no id chosen by a client can appear as an actor, and no entry identifies an erased
user. The database refuses to change entries, and to delete any except old logins.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from shared.clients.postgres import Connection, execute
from shared.logs import current_request_id
from shared.storage.paging import PagedList, Place

ADD: Final = """
INSERT INTO audit_log (actor, action, subject, before, after, request_id)
VALUES (:actor, :action, :subject, cast(:before AS jsonb), cast(:after AS jsonb), :request_id)
"""
# The actor of an event whose client is not logged in.
ANONYMOUS: Final = "anonymous"
# Actions that concern accounts and logins, as opposed to changes by staff.
SECURITY: Final = (
    "login",
    "login.failure",
    "password.change",
    "password.reset",
    "email.change",
    "email.verify",
    "token.reuse",
    "user.role",
)
_ACTIONS: Final = ", ".join(f"'{action}'" for action in SECURITY)
_FILTER: Final = f"cast(:security AS boolean) IS NULL OR (action IN ({_ACTIONS})) = cast(:security AS boolean)"
PAGE: Final = f"""
SELECT a.id, a.at,
       CASE WHEN a.actor_user_id IS NULL THEN a.actor ELSE coalesce(actor.external_id, 'erased') END, a.action,
       CASE WHEN a.subject_user_id IS NULL THEN a.subject ELSE coalesce('user:' || subject.external_id, 'erased') END,
       a.before, a.after, a.request_id
FROM (SELECT * FROM audit_log WHERE ({_FILTER}) AND {{after}}
      ORDER BY at DESC, id DESC LIMIT :limit OFFSET :offset) AS a
LEFT JOIN users actor ON actor.id = a.actor_user_id LEFT JOIN users subject ON subject.id = a.subject_user_id
ORDER BY a.at DESC, a.id DESC
"""
COUNT: Final = f"SELECT count(*) FROM audit_log WHERE {_FILTER}"
ENTRIES: Final = PagedList(
    "audit-log", PAGE, COUNT, [("at", True, "timestamptz"), ("id", True, "bigint")], places=(1, 0)
)


class Entry(NamedTuple):
    """A change or a security event; ``before`` and ``after`` hold the changed values if the action records them."""

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
    """Add an entry, with the id of the current request, inside the caller's transaction.

    ``actor`` is an account id or the name of a program; ``subject`` is `user:` plus an id, or any other text.
    """
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


def page(place: Place, *, security: bool | None = None) -> tuple[list[Entry], int, str | None]:
    """Return a page of entries, newest first, their total number and the next page's cursor.

    ``security``: True for security events only, False for all other entries, None for both. Raises InvalidRequest for
    an invalid cursor.
    """
    rows, total, following = ENTRIES.read(place, security=security)
    return [Entry(*row) for row in rows], total, following
