"""Errors as RFC 9457 problem documents, the same shape for ours, the framework's and those nobody expected."""

import logging
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from shared import errors
from shared.errors import AppError

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_BY_STATUS: dict[int, type[AppError]] = {
    error.status: error
    for error in (errors.Unauthorized, errors.Forbidden, errors.NotFound, errors.MethodNotAllowed, errors.MalformedBody)
}


def problem_response(error: AppError, path: str, request_id: str) -> Response:
    """Return the answer for ``error``."""
    body = error.problem() | {"instance": path, "request_id": request_id}
    return Response(_dump(body), error.status, error.headers, MEDIA_TYPE)


def _dump(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        # text from the client that is not text, such as a lone surrogate
        return orjson.dumps({key: value for key, value in body.items() if key not in ("detail", "errors", "instance")})


def field_errors(found: Any) -> list[dict[str, str]]:
    """Return Pydantic's errors as ``{field, message, type}``, without the input: it may be secret, or not text."""
    result = []
    for error in found:
        path = [str(part) for part in error["loc"] if part not in ("body", "query", "path", "header")]
        message = str(error["msg"]).removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            message = "is not known here"
        result.append({"field": ".".join(path), "message": message, "type": str(error["type"])})
    return result


def validation_problem(error: Any) -> AppError:
    """Return the AppError for a body, parameter or row that does not validate."""
    found = field_errors(error.errors())
    if any(one["type"] == "json_invalid" for one in found):
        return errors.MalformedBody("The body is not valid JSON: " + found[0]["message"] + ".")
    first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    subject = f"{first['field']}: " if first["field"] else ""
    return errors.InvalidRequest(f"{subject}{first['message']}{more}", errors=found)


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem."""

    def respond(request: Request, error: AppError) -> Response:
        return problem_response(error, request.url.path, request.scope.get("request_id", ""))

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, AppError)
        if error.status >= 500:
            log.warning(error.title, extra={"slug": error.slug, "detail": error.detail})
        return respond(request, error)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return respond(request, validation_problem(error))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        known = _BY_STATUS.get(error.status_code, AppError)
        detail = f"There is nothing at {request.url.path}." if error.status_code == 404 else ""
        answer = known(detail)
        answer.headers.update(error.headers or {})
        return respond(request, answer)

    app.add_exception_handler(AppError, ours)
    app.add_exception_handler(RequestValidationError, invalid)

    async def unexpected(request: Request, _error: Exception) -> Response:
        # Starlette answers this and raises the error again: the edge logs it
        return respond(request, AppError("The error was logged under this request id."))

    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)
