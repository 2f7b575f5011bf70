"""Route of operations: what flows, what waits, and how the functions answer."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.figures.source import shared
from functions.admin.schemas.operations import Operations
from shared.http.credentials import requires

router = APIRouter(prefix="/operations", tags=["operations"])


@router.get("", dependencies=[requires("dashboard:read")], response_model=Operations)
def get_operations(request: Request) -> Response:
    """Get messages per minute, waiting messages, and the latency, errors and cache hits of each route in the last hour.

    The figures are a few seconds old, in the cloud a few minutes. A figure that cannot be read is null, and
    `unavailable` says why.
    """
    return private(request, shared.answer())
