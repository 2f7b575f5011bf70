"""The route of a storefront's own tracking call. Like ``POST /events`` it needs no key."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions.collect import plain_events
from functions.collect.receiving import receive_event, result_response
from functions.collect.schemas import CollectionResult, PlainEvent
from shared.http.api import OWNED
from shared.http.credentials import ReporterCredential

router = APIRouter(tags=["track"])


@router.post("/track", response_model=CollectionResult, responses=OWNED)
async def record_plain_event(request: Request, event: PlainEvent, credential: ReporterCredential) -> Response:
    """Record an event whose fields have common names."""
    reports = plain_events.reports(event.model_dump(exclude_none=True))
    return result_response(await receive_event(request, reports, credential))
