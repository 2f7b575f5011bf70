"""Routes that take events. An event is accepted once Pub/Sub has it."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions.events.schemas import EventAccepted, EventBatch, EventBatchResult
from shared import event_origin
from shared.auth import PresentedCredential
from shared.domain.order_events import Report
from shared.event_publishing import publish_batch, publish_event
from shared.http import IdempotencyKey
from shared.http.answers import dump
from shared.http.api import OWNED, charge

EVENT_PATH: Final = "/events"
BATCH_PATH: Final = "/events/batch"
MAX_BATCH_BYTES: Final = 1_048_576
# 500 events with all fields and 30 members of metadata each
MAX_BATCH_VALUES: Final = 20_000
# events of a batch that count as one request in the rate limit
EVENTS_PER_REQUEST: Final = 10

router = APIRouter(prefix="/events", tags=["events"])


def cost_of(raw_events: Sequence[Any]) -> int:
    """Return what a batch counts in the rate limit beyond one request.

    Each user's events are a message of their own, which costs as much as the message of one event. Only the shop's own
    server has batches of many users.
    """
    by_number = len(raw_events) // EVENTS_PER_REQUEST
    if event_origin.current().vouched:
        return by_number
    users = {str(raw.get("user_id")) for raw in raw_events if isinstance(raw, dict)}
    return max(by_number, len(users) - 1)


@router.post("", status_code=202, response_model=EventAccepted, responses=OWNED)
async def record_event(
    event: Report, credential: PresentedCredential, idempotency_key: IdempotencyKey = None
) -> Response:
    """Record what a user did with a product, an order or a refund.

    503 with `Retry-After` when Pub/Sub does not take the event: nothing was recorded, so send it again.
    """
    event_id = await publish_event(event, credential, idempotency_key)
    return Response(dump({"event_id": event_id, "status": "accepted"}), 202, media_type="application/json")


@router.post("/batch", status_code=202, response_model=EventBatchResult, responses=OWNED)
async def record_event_batch(
    request: Request, batch: EventBatch, credential: PresentedCredential, idempotency_key: IdempotencyKey = None
) -> Response:
    """Record up to 500 events at once.

    An event that cannot be accepted is listed in `rejected`; the others are recorded.
    """
    charge(request, cost_of(batch.events))
    result = await publish_batch(batch.events, credential, idempotency_key)
    body = {
        "accepted": result.accepted,
        "rejected": [{"index": index, "problem": error.problem()} for index, error in result.rejected.items()],
    }
    return Response(dump(body), 202, media_type="application/json")
