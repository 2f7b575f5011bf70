"""The applications of other functions, each imported through the root `main.py` when it is first asked for."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from shared.errors import AppError
from shared.http.problems import problem_response

log = logging.getLogger(__name__)

# answers a request as the function would that is deployed under its name
Application = Callable[[Request], Awaitable[Response]]
ENTRY_POINTS: Final = "main"


def imported(name: str) -> Application:
    """Import a function and start it as a process of its own would be; return its entry point."""
    application: Any = getattr(import_module(ENTRY_POINTS), name)
    # serve() leaves it to a fork, and this process has forked already
    if application.at_start is not None:
        application.at_start()
    entry_point: Application = application
    return entry_point


async def failed(request: Request) -> Response:
    """Return the problem of a request whose application could not be imported."""
    error = AppError("The error was logged under this request id.")
    return problem_response(error, request.scope["path"], request.headers.get("x-request-id") or os.urandom(12).hex())


class Applications:
    """The applications by the names of their functions; ``loaded`` are those that answer at once."""

    def __init__(self, loaded: Mapping[str, Application]) -> None:
        self.loaded = dict(loaded)
        self._loading: dict[str, asyncio.Task[Application]] = {}

    async def load(self, name: str) -> Application:
        """Return an application, imported once however many requests wait for it.

        If the import fails, return one that answers with a problem; the next request tries again.
        """
        task = self._loading.get(name)
        if task is None:
            task = self._loading[name] = asyncio.create_task(self._load(name))
        # a client that goes away does not stop the import for the others
        return await asyncio.shield(task)

    async def _load(self, name: str) -> Application:
        started = time.perf_counter()
        try:
            # in a thread: requests to other applications go on meanwhile
            application = self.loaded[name] = await asyncio.to_thread(imported, name)
        except Exception:
            log.exception("application not imported", extra={"application": name})
            return failed
        finally:
            del self._loading[name]
        took_ms = (time.perf_counter() - started) * 1000
        log.info("application imported", extra={"application": name, "ms": round(took_ms, 1)})
        return application
