"""Route of rejected events."""

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.schemas.rejected_events import RejectedEventPage
from shared.http import CursorPageQuery
from shared.http.credentials import requires
from shared.storage.events import rejected
from shared.storage.paging import Place

router = APIRouter(prefix="/rejected-events", tags=["rejected-events"])


@router.get("", dependencies=[requires("events:read")], response_model=RejectedEventPage)
def list_rejected_events(request: Request, query: Annotated[CursorPageQuery, QueryParameters()]) -> Response:
    """List the events that can never be processed, with their reasons, newest first."""
    entries, total, following = rejected.page(Place(query.page_size, query.offset, query.after))
    return private(
        request, {"entries": [entry._asdict() for entry in entries]} | query.members_before(following, total)
    )
