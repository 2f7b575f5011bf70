"""Functions that do nothing: the reference for the cost of the framework."""

from typing import Any

import functions_framework
import functions_framework.aio
from starlette.responses import Response


@functions_framework.http
def empty_sync(_request: Any) -> str:
    """Answer at once, through Flask."""
    return "ok"


@functions_framework.aio.http
async def empty_async(_request: Any) -> Response:
    """Answer at once, through Starlette."""
    return Response("ok")
