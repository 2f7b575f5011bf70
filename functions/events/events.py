"""Routes that take events. An event is accepted once Pub/Sub has it."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions.events.schemas import EventAccepted, EventBatch, EventBatchResult
from shared.domain.order_events import Report
from shared.event_publishing import clock_note, cost_of, publish_batch, publish_event
from shared.http import IdempotencyKey
from shared.http.answers import dump
from shared.http.api import OWNED, charge
from shared.http.credentials import ReporterCredential

EVENT_PATH: Final = "/events"
BATCH_PATH: Final = "/events/batch"
MAX_BATCH_BYTES: Final = 1_048_576
# 500 events with all fields and 30 members of metadata each
MAX_BATCH_VALUES: Final = 20_000
router = APIRouter(prefix="/events", tags=["events"])


@router.post("", status_code=202, response_model=EventAccepted, responses=OWNED)
async def record_event(
    event: Report, credential: ReporterCredential, idempotency_key: IdempotencyKey = None
) -> Response:
    """Record what a user did with a product, an order or a refund.

    503 with `Retry-After` if Pub/Sub does not confirm the event. It may have been accepted all the same: send it again
    with the `event_id` of the problem, and it counts once.
    """
    event_id = await publish_event(event, credential, idempotency_key)
    body = {"event_id": event_id, "status": "accepted", "note": clock_note(event)}
    return Response(dump(body), 202, media_type="application/json")


@router.post("/batch", status_code=202, response_model=EventBatchResult, responses=OWNED)
async def record_event_batch(
    request: Request, batch: EventBatch, credential: ReporterCredential, idempotency_key: IdempotencyKey = None
) -> Response:
    """Record up to 500 events at once.

    An event that cannot be accepted is listed in `rejected`; the others are recorded. An event that Pub/Sub did not
    confirm may have been accepted all the same: send it again with the `event_id` of its problem, and it counts once.
    503 if Pub/Sub confirmed no event.
    """
    charge(request, cost_of(batch.events))
    events = batch.events
    if batch.sent_at is not None:
        events = [{"sent_at": batch.sent_at, **raw} if isinstance(raw, dict) else raw for raw in events]
    result = await publish_batch(events, credential, idempotency_key)
    body = {
        "accepted": result.accepted,
        "rejected": [{"index": index, "problem": error.problem()} for index, error in result.rejected.items()],
        "notes": [{"index": index, "note": note} for index, note in result.notes.items()],
    }
    return Response(dump(body), 202, media_type="application/json")
