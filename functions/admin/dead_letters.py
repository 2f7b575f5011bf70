"""Routes of dead letters: messages that a subscriber failed to process in every attempt."""

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.schemas.dead_letters import DeadLetterList, DeadLetterQuery, ReplayRequest, ReplayResult
from shared.clients.postgres import transaction
from shared.http.credentials import requires
from shared.manifest import manifest
from shared.storage.events import dead_letters
from shared.storage.operations import audit

router = APIRouter(prefix="/dead-letters", tags=["dead-letters"])


@router.get("", dependencies=[requires("events:read")], response_model=DeadLetterList)
def list_dead_letters(request: Request, query: Annotated[DeadLetterQuery, QueryParameters()]) -> Response:
    """List the waiting dead letters, up to `limit` of each topic, and leave them waiting."""
    topics = [query.topic] if query.topic else manifest().topics
    letters = [letter._asdict() for letter in dead_letters.peek(topics, query.limit)]
    return private(request, {"dead_letters": letters})


@router.post("/replay")
def replay_dead_letters(actor: Annotated[str, requires("events:replay")], replay: ReplayRequest) -> ReplayResult:
    """Publish a topic's dead letters again. Messages processed before do not take effect again. Audited."""
    chosen = frozenset(replay.message_ids) if replay.message_ids is not None else None
    done, left = dead_letters.replay(replay.topic, replay.limit, chosen)
    with transaction() as connection:
        audit.record(
            connection, actor, "dead-letters.replay", replay.topic, after={"replayed": done[:100], "count": len(done)}
        )
    return ReplayResult(topic=replay.topic, replayed=done, left=left)
