"""Errors as RFC 9457 problem documents: one format for the application's, the framework's and unexpected errors."""

import asyncio
import logging
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared import errors
from shared.clients.bulkhead import Serving
from shared.clients.postgres_errors import pause_before_repeating
from shared.errors import AppError, DatabaseBusy
from shared.http.bodies import replayed
from shared.http.routes import allowed_methods
from shared.validation import validation_problem

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_BY_STATUS: dict[int, type[AppError]] = {
    error.status: error
    for error in (errors.Unauthorized, errors.Forbidden, errors.NotFound, errors.MethodNotAllowed, errors.MalformedBody)
}
_DETAIL = {
    400: "The body cannot be read: it is not UTF-8, or has a number of thousands of digits. Correct it and try again.",
    404: "No route has the path {path}.",
    405: "{path} does not support {method}. The header Allow lists the methods that it supports.",
}


def problem_response(error: AppError, path: str, request_id: str) -> Response:
    """Return the response for ``error``, with the request's path and id added to the document."""
    body = error.problem() | {"instance": path, "request_id": request_id}
    return Response(_dump(body), error.status, error.headers, MEDIA_TYPE)


def _dump(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        # These members may repeat client input that cannot be encoded, such as a lone surrogate.
        return orjson.dumps({key: value for key, value in body.items() if key not in ("detail", "errors", "instance")})


class _AgainResponse(Response):
    """A response that, when sent, runs the route once more with the same body."""

    def __init__(self, body: bytes) -> None:
        self.request_body = body
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(pause_before_repeating())
        await scope["route"].app(scope, replayed(self.request_body, receive), send)


def _may_run_again(request: Request) -> bool:
    """Return whether the route may be retried: this is its first run, and it has committed no transaction."""
    serving: Serving | None = request.scope.get("aisle.serving")
    if serving is None or serving.has_committed or "aisle.again" in request.scope:
        return False
    request.scope["aisle.again"] = True
    return True


def _explained(error: Exception) -> AppError | None:
    """Return the problem that describes a wrong role or a missing schema; None for any other error."""
    # Imported here because only a failure needs it.
    from shared.storage.schema import presence

    explained = presence.explanation(error)
    if explained is None:
        return None
    log.error("database cannot be used", extra={"reason": explained.detail})
    if isinstance(explained, errors.SchemaMissing):
        # For a job, this is a conflict with its caller's order of steps; a shopper's request can be retried.
        return errors.Unavailable("The database has no schema yet; run the job migrate.", retry_after_s=30)
    return explained


def install(app: FastAPI) -> None:
    """Answer every error of ``app`` with a problem document."""

    def respond(request: Request, error: AppError) -> Response:
        return problem_response(error, request.url.path, request.scope.get("request_id", ""))

    async def application_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, AppError)
        if isinstance(error, DatabaseBusy) and error.undone and _may_run_again(request):
            log.info("route runs again", extra={"reason": error.detail})
            return _AgainResponse(await request.body())
        if error.status >= 500:
            log.warning(error.title, extra={"slug": error.slug, "detail": error.detail})
        return respond(request, error)

    async def invalid_request(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return respond(request, validation_problem(error))

    async def framework_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        problem_type = _BY_STATUS.get(error.status_code, AppError)
        answer = problem_type(_DETAIL.get(error.status_code, "").format(path=request.url.path, method=request.method))
        answer.headers.update(error.headers or {})
        if error.status_code == 405:
            answer.headers = {"Allow": ", ".join(allowed_methods(app, request.url.path))}
        return respond(request, answer)

    app.add_exception_handler(AppError, application_error)
    app.add_exception_handler(RequestValidationError, invalid_request)

    async def unexpected_error(request: Request, error: Exception) -> Response:
        # Starlette re-raises the error after this response, and the edge logs it.
        problem = await run_in_threadpool(_explained, error)
        return respond(request, problem or AppError("The error was logged under this request id."))

    app.add_exception_handler(HTTPException, framework_error)
    app.add_exception_handler(Exception, unexpected_error)
