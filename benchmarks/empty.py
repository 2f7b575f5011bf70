"""The references: what the framework costs when a function does nothing."""

from typing import Any

import functions_framework
import functions_framework.aio
from starlette.responses import Response


@functions_framework.http
def empty_sync(_request: Any) -> str:
    """Answer nothing, by Flask."""
    return "ok"


@functions_framework.aio.http
async def empty_async(_request: Any) -> Response:
    """Answer nothing, by Starlette."""
    return Response("ok")
