"""Route of the audit log."""

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.schemas.audit_log import AuditLogPage, AuditLogQuery
from shared.http.credentials import requires
from shared.storage.operations import audit
from shared.storage.paging import Place

router = APIRouter(prefix="/audit-log", tags=["audit-log"])


@router.get("", dependencies=[requires("audit:read")], response_model=AuditLogPage)
def list_audit_log(request: Request, query: Annotated[AuditLogQuery, QueryParameters()]) -> Response:
    """List the changes by staff and scripts, and security events, newest first."""
    entries, total, following = audit.page(Place(query.page_size, query.offset, query.after), security=query.security)
    return private(
        request, {"entries": [entry._asdict() for entry in entries]} | query.members_before(following, total)
    )
