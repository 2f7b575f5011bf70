"""The bridge between functions-framework and an ASGI application."""

import gc
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import functions_framework.aio
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http import revocations
from shared.http.answers import CACHE_HIT, NO_STORE
from shared.http.edge import Edge, HeaderList
from shared.http.observed import observe_stored
from shared.telemetry import spans

# Given the scope of a GET, starts looking up a user's stored JSON, which may be gzipped. If there is no stored answer
# (None, or an awaitable of None), the application runs.
FindStored = Callable[[Scope], Awaitable[bytes | None] | None]

# docs/api.md says what may change within this version.
API_PREFIX: Final = "/api/v1"
GZIP_MAGIC: Final = b"\x1f\x8b"
JSON_HEADERS: Final[HeaderList] = [
    (b"content-type", b"application/json"),
    (b"cache-control", NO_STORE.encode()),
    (b"vary", b"Accept-Encoding"),
    (b"cache-status", CACHE_HIT.encode()),
]
GZIP_HEADERS: Final[HeaderList] = [*JSON_HEADERS, (b"content-encoding", b"gzip")]


def unversioned(path: str) -> str:
    """Return the path without API_PREFIX. Every public route is served with and without it."""
    rest = path.removeprefix(API_PREFIX)
    return rest if rest != path and rest.startswith("/") else path


class _ApplicationResponse(Response):
    """A response that runs the application when the framework sends it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class _StoredResponse(Response):
    """A stored answer, sent with body and headers unchanged."""

    def __init__(self, body: bytes, headers: HeaderList) -> None:
        self.status_code, self.body, self.raw_headers = 200, body, headers
        self.background = None

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def serve(app: FastAPI, find_stored: FindStored | None = None, *, at_start: Callable[[], None] | None = None) -> Any:
    """Return the entry point: an async function, registered under the application's name.

    A GET for which ``find_stored`` finds an answer never enters the application; request ids, rate limits and CORS
    headers are the same either way. ``at_start`` runs at the start of each serving process: functions-framework imports
    the function and then forks, which threads and connections do not survive.
    """
    if at_start is not None:
        os.register_at_fork(after_in_child=at_start)
    edge: Edge = app.state.edge
    # Objects created during start-up live as long as the process, so the garbage collector need not scan them again.
    # Full collections over them dominated p99 (docs/decisions/0003-redis-on-the-hot-path.md).
    gc.collect()
    gc.freeze()

    async def function(request: Request) -> Response:
        scope = request.scope
        scope["path"] = unversioned(scope["path"])
        if find_stored is not None and scope["method"] == "GET":
            started = time.perf_counter()
            begun = edge.begin(scope)
            # Until the revoked keys are known, a request with a key waits for them in the application.
            if begun[2] is None and ("aisle.key" not in scope or revocations.is_known()):
                lookup = find_stored(scope)
                body = None if lookup is None else await lookup
                if body is not None:
                    if spans.is_on():
                        await observe_stored(app.title, scope, begun[0], started)
                    origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
                    return _StoredResponse(
                        body,
                        [
                            *(GZIP_HEADERS if body.startswith(GZIP_MAGIC) else JSON_HEADERS),
                            (b"content-length", b"%d" % len(body)),
                            *begun[1],
                            *(edge.cross_origin(origin) if origin else ()),
                        ],
                    )
            # The edge must not count this request against the rate limit a second time.
            scope["aisle.begun"] = begun
        return _ApplicationResponse(edge)

    function.__name__ = function.__qualname__ = app.title
    entry_point: Any = functions_framework.aio.http(function)
    # For a process that is already serving when it imports the function (functions/edge).
    entry_point.at_start = at_start
    return entry_point
