"""Routes of Segment's tracking API."""

import logging
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from functions.collect import segment_events
from functions.collect.receiving import receive, require_key, result_response
from functions.collect.schemas import CollectionResult, SegmentBatch, SegmentMessage
from functions.collect.segment_events import CALLS
from shared.auth import Action, Credential, authorise
from shared.domain.events import Text, UserId
from shared.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unauthorized
from shared.http.api import OWNED, problem_responses
from shared.http.credentials import KeyedCredential

log = logging.getLogger(__name__)

MAX_MESSAGES: Final = 2_500
_USER_ID: Final[TypeAdapter[str]] = TypeAdapter(UserId)

Call = Annotated[Text, Path(max_length=32, description="Name of the call, or its short form: `t` for `track`.")]

router = APIRouter(prefix="/v1", tags=["segment"])


@router.post("/batch", response_model=CollectionResult, responses=OWNED)
@router.post("/b", include_in_schema=False)
@router.post("/import", include_in_schema=False)
async def record_segment_batch(request: Request, batch: SegmentBatch, credential: KeyedCredential) -> Response:
    """Record a batch of Segment calls.

    An event that cannot be accepted is listed in `rejected`; the others are recorded.
    """
    await require_key(request, batch.write_key)
    if len(batch.batch) > MAX_MESSAGES:
        raise InvalidRequest(f"batch: has more than {MAX_MESSAGES} calls; send it in parts.")
    return await _record(request, batch.batch, batch.sent_at, credential)


@router.post("/{call}", response_model=CollectionResult, responses=OWNED | problem_responses(404))
async def record_segment_call(
    request: Request, call: Call, message: SegmentMessage, credential: KeyedCredential
) -> Response:
    """Record a Segment call: `track`, `identify`, `page`, `screen`, `alias` or `group`."""
    if call not in CALLS:
        raise NotFound(f"/v1/{call} is not a call of Segment's API. The calls are {', '.join(CALLS)} and batch.")
    await require_key(request, message.write_key)
    body = message.fields() | {"type": CALLS[call]}
    return await _record(request, [body], None, credential)


async def _record(request: Request, messages: list[Any], sent_at: Any, credential: Credential) -> Response:
    calls = [message if isinstance(message, dict) else {} for message in messages]
    reports = [
        (position, report)
        for position, message in enumerate(calls)
        for report in segment_events.reports(message, sent_at)
    ]
    received = await receive(request, reports, credential)
    refused = {rejection["index"] for rejection in received.rejected}
    merges = dict.fromkeys(
        merge
        for position, message in enumerate(calls)
        if position not in refused and (merge := segment_events.merge_of(message)) is not None
    )
    if allowed := [merge for merge in merges if may_merge(*merge, credential)]:
        # after the events are published, so that those of the visitor follow
        await run_in_threadpool(_merge, allowed)
    return result_response(received)


def may_merge(from_id: str, to_id: str, credential: Credential) -> bool:
    """Whether the credential may join two ids. With a publishable key alone it may not."""
    try:
        for user_id in (from_id, to_id):
            authorise(_USER_ID.validate_python(user_id), credential, Action.MERGE)
    except (Forbidden, Unauthorized, ValidationError):
        return False
    return True


def _merge(merges: list[tuple[str, str]]) -> None:
    # imported here: events without a merge need no Postgres
    from shared.clients.postgres import transaction
    from shared.storage.answers import invalidation
    from shared.storage.people import merging

    for from_id, to_id in merges:
        try:
            with transaction() as connection:
                merge = merging.merge_users(connection, from_id, to_id)
        except (Conflict, Forbidden) as error:
            # the call is recorded; sending it again could not join the two either
            log.warning("users not merged", extra={"error": error.detail})
        else:
            invalidation.forget_users({from_id, to_id, *filter(None, [merge.account_id])})
