"""The responses of admin routes that read, and of those that create."""

from typing import Any

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from shared.http import fresh


def private(request: Request, body: bytes | dict[str, Any]) -> Response:
    """Return a JSON response with its entity tag, which only the client itself may store."""
    return fresh(request, body if isinstance(body, bytes) else orjson.dumps(body), max_age_s=0, public=False)


def created(resource: BaseModel, location: str) -> Response:
    """Return 201 with a new resource and its address."""
    return Response(resource.model_dump_json(), 201, {"Location": location}, "application/json")
