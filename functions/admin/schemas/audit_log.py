"""Request and response models of the audit log."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from shared.http import CursorPage, CursorPageQuery


class AuditLogQuery(CursorPageQuery):
    """Parameters of the audit log."""

    security: bool | None = Field(
        None,
        description="`true` returns only log-ins, failed log-ins, reused refresh tokens, and changes of passwords, "
        "emails and roles; `false` returns all other entries. If omitted, all entries.",
    )


class AuditLogEntry(BaseModel):
    """A change by staff or a script, or a security event."""

    id: int = Field(description="Id of the entry.")
    at: datetime = Field(description="When it happened.")
    actor: str = Field(
        description="Id of the account, `admin-token`, `command-line`, `anonymous`, or `erased` for an erased account."
    )
    action: str = Field(description="What was done, such as `rule.add` or `login.failure`.")
    subject: str = Field(description="What it was done to; `user:` and the id of a user, or `erased`.")
    before: dict[str, Any] | None = Field(description="The state before; null if it does not apply.")
    after: dict[str, Any] | None = Field(description="The state after; null if it does not apply.")
    request_id: str | None = Field(description="Id of the request.")


class AuditLogPage(CursorPage):
    """A page of the audit log, newest first."""

    entries: list[AuditLogEntry] = Field(description="The entries of this page.")
