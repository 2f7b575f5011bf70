"""The whole bridge between functions-framework and an ASGI application."""

import gc
from collections.abc import Awaitable, Callable
from typing import Any

import functions_framework.aio
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http.edge import Edge, HeaderList

# Given the scope, returns (body, headers) of a stored answer, or None to run the application.
HotPath = Callable[[Scope], Awaitable[tuple[int, bytes, HeaderList] | None]]


class _Run(Response):
    """A response that, once the framework sends it, runs the application instead."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class _Stored(Response):
    """A stored answer: its bytes and headers as they are."""

    def __init__(self, status: int, body: bytes, headers: HeaderList) -> None:
        self.status_code, self.body, self.raw_headers = status, body, headers
        self.background = None

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def serve(app: FastAPI, hot: HotPath | None = None) -> Any:
    """Return the entry point: an async function, registered under the application's name.

    ``hot`` may answer a GET from stored bytes without running the application; ids, limits and CORS are the same.
    """
    edge: Edge = app.state.edge
    # what start-up made lives for ever: a collection need not look at it again, which is what p99 was made of
    gc.collect()
    gc.freeze()

    async def function(request: Request) -> Response:
        scope = request.scope
        if hot is not None and scope["method"] == "GET":
            begun = edge.begin(scope)
            if begun[2] is None:
                found = await hot(scope)
                if found is not None:
                    status, body, headers = found
                    origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
                    return _Stored(status, body, headers + begun[1] + (edge.cross_origin(origin) if origin else []))
            # counted once: the edge must not begin again
            scope["aisle.begun"] = begun
        return _Run(edge)

    function.__name__ = function.__qualname__ = app.title
    return functions_framework.aio.http(function)
