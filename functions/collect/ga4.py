"""Routes of GA4's Measurement Protocol."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi import Query as InQuery
from starlette.responses import Response

from functions.collect import ga4_events
from functions.collect.receiving import receive, require_key, result_response
from functions.collect.schemas import CollectionResult, MeasurementQuery, MeasurementRequest, MeasurementValidation
from functions.collect.translation import objects
from shared.errors import InvalidRequest
from shared.http.answers import dump
from shared.http.api import OWNED
from shared.http.credentials import KeyedCredential, described_key

router = APIRouter(tags=["ga4"])
RECORDED: dict[int | str, dict[str, Any]] = {204: {"description": "Every event was accepted."}}


@router.post("/mp/collect", response_model=CollectionResult, responses=OWNED | RECORDED)
async def record_measurement(
    request: Request,
    body: MeasurementRequest,
    credential: KeyedCredential,
    _query: Annotated[MeasurementQuery, InQuery()],
) -> Response:
    """Record events of GA4's Measurement Protocol. 204 if all were accepted, otherwise 200 with the rejected ones."""
    await require_key(request)
    fields = body.model_dump(exclude_none=True)
    if (fault := next(iter(ga4_events.faults(fields)), None)) is not None and fault["fieldPath"] in (
        "events",
        "client_id",
    ):
        raise InvalidRequest(f"{fault['fieldPath']}: {fault['description']}")
    reports = [
        (position, report)
        for position, event in enumerate(objects(fields["events"]))
        for report in ga4_events.reports(fields, event, position)
    ]
    received = await receive(request, reports, credential)
    return result_response(received) if received.rejected else Response(status_code=204)


@router.post(
    "/debug/mp/collect", response_model=MeasurementValidation, responses=OWNED, dependencies=[Depends(described_key)]
)
async def check_measurement(
    request: Request,
    body: MeasurementRequest,
    _query: Annotated[MeasurementQuery, InQuery()],
) -> Response:
    """Check a request of GA4's Measurement Protocol without recording it."""
    await require_key(request)
    messages = list(ga4_events.faults(body.model_dump(exclude_none=True)))
    return Response(dump({"validationMessages": messages}), media_type="application/json")
