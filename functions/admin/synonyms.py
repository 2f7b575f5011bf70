"""Routes of synonyms. A change applies to the next search."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from functions.admin.answering import created
from functions.admin.schemas.synonyms import Synonym, SynonymList, SynonymWrite
from shared.clients.postgres import transaction
from shared.http import IdempotencyKey
from shared.http.api import problem_responses
from shared.http.credentials import requires
from shared.http.idempotency import Finish, fingerprint, once
from shared.storage.answers import invalidation
from shared.storage.answers.protocol import PRODUCTS
from shared.storage.catalog import synonyms
from shared.storage.operations import audit

router = APIRouter(prefix="/synonyms", tags=["synonyms"])
SearchAdmin = Annotated[str, requires("search:write")]
SynonymId = Annotated[int, Path(ge=1, le=2**53 - 1, description="Id of the synonym.")]


@router.get("", dependencies=[requires("search:read")])
def list_synonyms() -> SynonymList:
    """List every synonym, by term."""
    return SynonymList(synonyms=[Synonym(**synonym._asdict()) for synonym in synonyms.list_synonyms()])


@router.post("", status_code=201, response_model=Synonym, responses=problem_responses(409))
def create_synonym(actor: SearchAdmin, body: SynonymWrite, key: IdempotencyKey = None) -> Response:
    """Create a synonym: a search for `term` also finds `meant`, and the other way round if it is `two_way`. Audited."""

    def work(finish: Finish) -> Response:
        with transaction() as connection:
            added = synonyms.add(connection, body.term, body.meant, two_way=body.two_way)
            audit.record(connection, actor, "synonym.add", str(added.id), after=added._asdict())
            answer = created(Synonym(**added._asdict()), f"/admin/synonyms/{added.id}")
            finish(connection, answer)
        return answer

    answer = once(key, "POST /admin/synonyms", fingerprint(body), work)
    invalidation.flush(PRODUCTS)
    return answer


@router.delete("/{synonym_id}", status_code=204, responses=problem_responses(404))
def delete_synonym(actor: SearchAdmin, synonym_id: SynonymId) -> Response:
    """Delete a synonym. Audited."""
    with transaction() as connection:
        before = synonyms.delete(connection, synonym_id)
        audit.record(connection, actor, "synonym.delete", str(synonym_id), before=before._asdict())
    invalidation.flush(PRODUCTS)
    return Response(status_code=204)
