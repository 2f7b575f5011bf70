"""HTTP: take what users do and publish it. Accepted is what Pub/Sub has; neither Postgres nor Redis is needed."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid5

from fastapi import Depends, Header
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, WithJsonSchema
from starlette.responses import Response

from shared import messages
from shared.auth import Credentials, acting, own
from shared.clients import pubsub
from shared.domain.events import EVENT_ID_NAMESPACE, MAX_EVENTS_PER_REQUEST, Event, uuid7
from shared.errors import AppError, PubSubUnavailable, Unauthorized
from shared.http import api, serve
from shared.http.answers import dump
from shared.http.api import OWNED
from shared.http.problems import validation_problem
from shared.logs import current_traceparent
from shared.settings import settings

app = api("events", "Takes user events; they change recommendations within a second.", needs=("pubsub",))
EVENT = TypeAdapter(Event)


async def _token(credentials: Credentials = None) -> str | None:
    return credentials.credentials if credentials else None


# of whoever sends events; an account's need its own (shared/auth.py), and are then nobody else's
Token = Annotated[str | None, Depends(_token)]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]


class Accepted(BaseModel):
    """The event was taken; ``event_id`` is the client's own, or a new UUIDv7."""

    event_id: str
    status: str = "accepted"


class Batch(BaseModel):
    """Up to 500 events of any users; each is taken or rejected by itself."""

    model_config = ConfigDict(extra="forbid")

    events: Annotated[
        list[Any],
        Field(min_length=1, max_length=MAX_EVENTS_PER_REQUEST),
        WithJsonSchema(
            {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_EVENTS_PER_REQUEST,
                "items": {"$ref": "#/components/schemas/Event"},
            }
        ),
    ]


class Rejected(BaseModel):
    """One event of a batch that was not taken, with its problem."""

    index: int
    problem: dict[str, Any]


class BatchAccepted(BaseModel):
    """How many events were taken, and which were not."""

    accepted: int
    rejected: list[Rejected]


def prepared(event: Event, key: str | None, index: int) -> dict[str, Any]:
    """Return the event as it travels: with an id and a time.

    With an Idempotency-Key the id is derived from it: the same request sent again counts once.
    """
    event_id = event.event_id
    if event_id is None:
        event_id = str(uuid7() if key is None else uuid5(EVENT_ID_NAMESPACE, f"{event.user_id}\n{key}\n{index}"))
    return {
        "event_id": event_id,
        "product_id": event.product_id,
        "event_type": event.event_type.value,
        "timestamp": (event.timestamp or datetime.now(UTC)).isoformat(),
        "session_id": event.session_id,
        "metadata": event.metadata,
    }


async def publish(user_id: str, events: list[dict[str, Any]]) -> None:
    """Publish one message and wait until Pub/Sub has it. Raises PubSubUnavailable."""
    data, attributes = messages.user_events(user_id, events, current_traceparent())
    try:
        future = pubsub.send(messages.USER_EVENTS, data, attributes)
        await asyncio.wait_for(asyncio.wrap_future(future), settings().publish_timeout_s)
    except Exception as error:
        raise pubsub.refused(error) from error


@app.post("/events", status_code=202, response_model=Accepted, responses=OWNED)
async def post_event(event: Event, token: Token, idempotency_key: IdempotencyKey = None) -> Response:
    """Take one event. 503 with Retry-After when Pub/Sub does not have it: nothing is half done, send it again."""
    own(event.user_id, token)
    ready = prepared(event, idempotency_key, 0)
    await publish(event.user_id, [ready])
    return Response(dump({"event_id": ready["event_id"], "status": "accepted"}), 202, media_type="application/json")


@app.post("/events/batch", status_code=202, response_model=BatchAccepted, responses=OWNED)
async def post_batch(batch: Batch, token: Token, idempotency_key: IdempotencyKey = None) -> Response:
    """Take up to 500 events, published as one message per user. What is not taken is listed with its problem."""
    acting(None, token)
    rejected: dict[int, AppError] = {}
    by_user: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for index, raw in enumerate(batch.events):
        try:
            event = EVENT.validate_python(raw)
            own(event.user_id, token)
        except ValidationError as error:
            rejected[index] = validation_problem(error)
        except Unauthorized as error:
            rejected[index] = error
        else:
            by_user[event.user_id][index] = prepared(event, idempotency_key, index)

    outcomes = await asyncio.gather(
        *(publish(user_id, list(events.values())) for user_id, events in by_user.items()), return_exceptions=True
    )
    failures = [outcome for outcome in outcomes if isinstance(outcome, PubSubUnavailable)]
    for events, outcome in zip(by_user.values(), outcomes, strict=True):
        if isinstance(outcome, AppError):
            rejected.update(dict.fromkeys(events, outcome))
        elif isinstance(outcome, BaseException):
            raise outcome
    if failures and len(failures) == len(by_user):
        raise failures[0]
    body = {
        "accepted": len(batch.events) - len(rejected),
        "rejected": [{"index": index, "problem": error.problem()} for index, error in sorted(rejected.items())],
    }
    return Response(dump(body), 202, media_type="application/json")


events = serve(app)
