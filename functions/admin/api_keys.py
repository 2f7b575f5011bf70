"""Routes of API keys: make, list and revoke. A key's text is answered once and stored nowhere."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from functions.admin.schemas.api_keys import ApiKey, ApiKeyCreation, ApiKeyList, NewApiKey
from shared import api_keys
from shared.clients.postgres import transaction
from shared.http.api import problem_responses
from shared.http.credentials import requires
from shared.storage.operations import api_keys as stored_keys
from shared.storage.operations import audit

router = APIRouter(prefix="/api-keys", tags=["api-keys"])
KeysAdmin = Annotated[str, requires("api-keys:write")]
KeyId = Annotated[str, Path(pattern="^[0-9a-f]{12}$", description="Id of the API key: the second part of the key.")]


@router.get("", dependencies=[requires("api-keys:read")])
def list_api_keys() -> ApiKeyList:
    """List every API key, oldest first, including revoked ones. The keys themselves are not stored."""
    return ApiKeyList(api_keys=[ApiKey(**key._asdict()) for key in stored_keys.list_keys()])


@router.post("", status_code=201, response_model=NewApiKey)
def create_api_key(actor: KeysAdmin, body: ApiKeyCreation) -> Response:
    """Create an API key. The key itself is returned in this response only. Audited.

    Accepts no Idempotency-Key, because that would store the response. If the response is lost, revoke the key and
    create another one.
    """
    key_id, text = api_keys.create(body.kind)
    with transaction() as connection:
        stored = stored_keys.add(connection, key_id, body.kind, body.name, actor)
        audit.record(connection, actor, "api-key.add", key_id, after={"kind": body.kind, "name": body.name})
    return Response(
        NewApiKey(**stored._asdict(), key=text).model_dump_json(),
        201,
        {"Location": f"/admin/api-keys/{key_id}", "Cache-Control": "no-store"},
        "application/json",
    )


@router.delete("/{key_id}", status_code=204, responses=problem_responses(404))
def delete_api_key(actor: KeysAdmin, key_id: KeyId) -> Response:
    """Revoke an API key, for good. Audited.

    The key is refused after at most 70 seconds. `POST /events` accepts it until API_MAC_KEYS are rotated.
    """
    with transaction() as connection:
        change = stored_keys.revoke(connection, key_id)
        if change is not None:
            before, after = change
            audit.record(connection, actor, "api-key.revoke", key_id, before=before._asdict(), after=after._asdict())
    stored_keys.drop_revoked_copy()
    return Response(status_code=204)
