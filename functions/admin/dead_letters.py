"""Dead letters: messages that no function took after all attempts. Published again once the cause is gone."""

from typing import Annotated

import orjson
from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.admin import schemas
from shared.auth import requires
from shared.clients.postgres import transaction
from shared.http import fresh
from shared.manifest import manifest
from shared.storage.events import dead_letters
from shared.storage.operations import audit

# included in the admin router
router = APIRouter(prefix="/dead-letters")


@router.get("", dependencies=[requires("events:read")], response_model=schemas.DeadLetters)
def get_dead_letters(request: Request, query: Annotated[schemas.DeadLetterQuery, QueryParameters()]) -> Response:
    """List what waits, up to ``limit`` of each topic; nothing is taken out."""
    topics = [query.topic] if query.topic else manifest().topics
    found = [letter._asdict() for topic in topics for letter in dead_letters.peek(topic, query.limit)]
    return fresh(request, orjson.dumps({"dead_letters": found}), max_age_s=0, public=False)


@router.post("/replay")
def replay(actor: Annotated[str, requires("events:replay")], wanted: schemas.Replay) -> schemas.Replayed:
    """Publish a topic's dead letters again, all or those named; what was applied once already has no second effect."""
    chosen = frozenset(wanted.message_ids) if wanted.message_ids is not None else None
    done, left = dead_letters.replay(wanted.topic, wanted.limit, chosen)
    with transaction() as connection:
        audit.record(
            connection, actor, "dead-letters.replay", wanted.topic, after={"replayed": done[:100], "count": len(done)}
        )
    return schemas.Replayed(topic=wanted.topic, replayed=done, left=left)
