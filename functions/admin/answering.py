"""The response of every admin route that reads."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from shared.http import fresh


def private(request: Request, body: bytes | dict[str, Any]) -> Response:
    """Return a JSON response with its entity tag, which only the client itself may store."""
    return fresh(request, body if isinstance(body, bytes) else orjson.dumps(body), max_age_s=0, public=False)
