"""Routes of model versions."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.schemas.models import ModelActivation, ModelVersionList
from shared.clients.postgres import transaction
from shared.http.api import problem_responses
from shared.http.credentials import requires
from shared.storage.answers import invalidation, protocol
from shared.storage.operations import audit
from shared.storage.recommending import models

router = APIRouter(prefix="/models", tags=["models"])
Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of the model version.")]


@router.get("", dependencies=[requires("models:read")], response_model=ModelVersionList)
def list_models(request: Request) -> Response:
    """List the model versions, newest first."""
    return private(request, {"models": models.list_models()})


@router.post("/{version}/activate", responses=problem_responses(404, 409))
def activate_model(actor: Annotated[str, requires("models:activate")], version: Version) -> ModelActivation:
    """Serve a stored model version from the next request on. Audited."""
    with transaction() as connection:
        previous = models.activate(connection, version)
        audit.record(
            connection, actor, "model.activate", str(version), before={"version": previous}, after={"version": version}
        )
    invalidation.flush(*protocol.MODEL_SCOPES)
    return ModelActivation(version=version, previous=previous)
