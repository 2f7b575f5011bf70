"""Routes of Google Cloud Retail's user events, with an API key instead of OAuth."""

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Path, Request
from fastapi import Query as InQuery
from starlette.responses import Response

from functions.collect import retail_events
from functions.collect.receiving import receive, receive_event, require_key, result_response
from functions.collect.schemas import CollectionResult, RetailCollectQuery, RetailEvent, RetailImport
from functions.collect.translation import mapping, objects
from shared.domain.events import Text
from shared.errors import InvalidRequest, MalformedBody
from shared.http.answers import dump
from shared.http.api import OWNED
from shared.http.bodies import check_values
from shared.http.credentials import KeyedCredential
from shared.http.parameters import NoQuery

PREFIX: Final = "/v2/projects/{project}/locations/{location}/catalogs/{catalog}"
Name = Annotated[Text, Path(max_length=255, description="As in Google Cloud. Ignored.")]


async def _catalog_name(project: Name, location: Name, catalog: Name) -> str:
    return f"projects/{project}/locations/{location}/catalogs/{catalog}"


CatalogName = Annotated[str, Depends(_catalog_name)]

router = APIRouter(prefix=PREFIX, tags=["retail"])


@router.post("/userEvents:write", responses=OWNED)
async def record_retail_event(
    request: Request,
    _catalog: CatalogName,
    event: RetailEvent,
    credential: KeyedCredential,
    _query: Annotated[NoQuery, InQuery()],
) -> Response:
    """Record a user event of Google Cloud Retail. Answers with the event."""
    await require_key(request)
    await receive_event(request, retail_events.reports(event.fields()), credential)
    # as it was sent: it may have numbers and texts that cannot be written again
    return Response(await request.body(), media_type="application/json")


@router.post("/userEvents:import", responses=OWNED)
async def import_retail_events(
    request: Request,
    catalog: CatalogName,
    body: RetailImport,
    credential: KeyedCredential,
    _query: Annotated[NoQuery, InQuery()],
) -> Response:
    """Record the inline user events of a Google Cloud Retail import. Answers with an operation that is done."""
    await require_key(request)
    source = mapping(mapping(body.input_config).get("userEventInlineSource"))
    if not source:
        raise InvalidRequest("inputConfig.userEventInlineSource: required; load files with the job load_events.")
    events = objects(source.get("userEvents"))
    reports = [(position, report) for position, event in enumerate(events) for report in retail_events.reports(event)]
    received = await receive(request, reports, credential)
    samples = [
        {"code": 3, "message": f"userEvents[{rejection['index']}]: {rejection['problem'].get('detail', '')}"}
        for rejection in received.rejected
    ]
    operation: dict[str, Any] = {
        "name": f"{catalog}/operations/import-user-events",
        "metadata": {
            "@type": "type.googleapis.com/google.cloud.retail.v2.ImportMetadata",
            "successCount": str(received.accepted),
            "failureCount": str(len(received.rejected)),
        },
        "done": True,
        "response": {
            "@type": "type.googleapis.com/google.cloud.retail.v2.ImportUserEventsResponse",
            "errorSamples": samples,
        },
    }
    return Response(dump(operation), media_type="application/json")


@router.get("/userEvents:collect", response_model=CollectionResult, responses=OWNED)
async def log_retail_event(
    request: Request,
    _catalog: CatalogName,
    credential: KeyedCredential,
    query: Annotated[RetailCollectQuery, InQuery()],
) -> Response:
    """Record a user event of Google Cloud Retail that a pixel sends in the URL."""
    await require_key(request)
    try:
        event = mapping(orjson.loads(query.user_event))
        check_values(event)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"userEvent: is not valid JSON: {error}.") from None
    return result_response(await receive_event(request, retail_events.reports(event), credential))


@router.post("/userEvents:collect", response_model=CollectionResult, responses=OWNED)
async def send_retail_event(
    request: Request,
    _catalog: CatalogName,
    event: RetailEvent,
    credential: KeyedCredential,
    _query: Annotated[NoQuery, InQuery()],
) -> Response:
    """Record a user event of Google Cloud Retail that a page sends."""
    await require_key(request)
    received = await receive_event(request, retail_events.reports(event.fields()), credential)
    return result_response(received)
