"""The layer around every function: request ids, limits, CORS, compression, problems, logs.

``Edge`` is one plain ASGI layer. The hot path (serve.py), which skips the application, applies the same rules.
"""

import logging
import os
import re
import time
from functools import cached_property
from urllib.parse import unquote

from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import api_keys, errors
from shared.api_keys import KEY_CHALLENGE
from shared.errors import AppError
from shared.http import revocations
from shared.http.client_address import client_address
from shared.http.limits import WINDOW_S, Limiter
from shared.http.problems import problem_response
from shared.logs import trace_of
from shared.settings import settings

log = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._:/=+@-]{1,128}")
MAX_BODY_BYTES = 1_048_576
EXPOSED = ("X-Request-ID", "ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "Location", "Idempotent-Replayed")
HeaderList = list[tuple[bytes, bytes]]
UNLIMITED = ("/health", "/health/ready")


class Edge:
    """Wraps an application. ``begin`` is the part that the hot path shares."""

    def __init__(self, app: ASGIApp, name: str, max_body: dict[str, int] | None = None) -> None:
        self.name = name
        self.max_body = max_body or {}
        self.limiter = Limiter(name)
        self.inner = app

    @cached_property
    def stack(self) -> ASGIApp:
        """The application inside Starlette's compression and CORS. Needs the settings: built with the first request."""
        origins = settings().cors_origins
        return CORSMiddleware(
            GZipMiddleware(self.inner, minimum_size=1024, compresslevel=5),
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "If-None-Match",
                "X-API-Key",
                "X-Request-ID",
                "traceparent",
            ],
            expose_headers=list(EXPOSED),
            max_age=86_400,
        )

    def begin(self, scope: Scope) -> tuple[str, HeaderList, AppError | None]:
        """Return the request's id, headers for its response, and the error that refuses it, if any.

        A valid API key goes from the header or the query string into ``scope["aisle.key"]``.
        """
        request_id = ""
        keys: list[str] = []
        has_origin = False
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                request_id = value.decode("latin-1")
            elif name == b"x-api-key":
                keys.append(value.decode("latin-1").strip())
            elif name == b"origin":
                has_origin = True
        query: bytes = scope["query_string"]
        keys_in_url: list[str] = []
        if b"key=" in query:
            # before logs, validation and keys of stored answers
            scope["query_string"], keys_in_url = api_keys.take_from_query(query)
        if not request_id or not REQUEST_ID.fullmatch(request_id):
            request_id = os.urandom(12).hex()
        peer = (scope.get("client") or ("",))[0]
        client = client_address(scope["headers"], peer, settings().trusted_proxies)
        scope["aisle.client"] = client
        headers: HeaderList = [(b"x-request-id", request_id.encode())]
        refusal = self.admit_key(scope, keys, keys_in_url, has_origin) if keys or keys_in_url else None
        limit = settings().rate_limit_per_minute
        if limit == 0 or scope["path"] in UNLIMITED:
            return request_id, headers, refusal
        remaining, reset_s = self.limiter.take(client)
        headers.append((b"ratelimit-policy", b'"minute";q=%d;w=%d' % (limit, WINDOW_S)))
        headers.append((b"ratelimit", b'"minute";r=%d;t=%d' % (max(remaining, 0), reset_s)))
        if remaining < 0:
            return (
                request_id,
                headers,
                errors.RateLimited(
                    f"More than {limit} requests in a minute. Try again in {reset_s} s.",
                    headers={"Retry-After": str(reset_s)},
                ),
            )
        return request_id, headers, refusal

    @staticmethod
    def admit_key(scope: Scope, keys: list[str], keys_in_url: list[str], has_origin: bool) -> AppError | None:
        """Put the request's API key into the scope, or return the error that refuses it. Does no I/O."""
        if any(text.startswith("sk_") for text in keys_in_url):
            return errors.Forbidden(
                "A secret API key must never be in a URL: logs and histories have it now. Revoke it, and send its "
                "successor in the header X-API-Key."
            )
        texts = {*keys, *keys_in_url}
        if len(texts) > 1:
            return errors.InvalidApiKey("Send one API key, in the header X-API-Key.", headers=KEY_CHALLENGE)
        key = api_keys.verify(texts.pop())
        if key is None:
            return errors.InvalidApiKey(
                "The API key was not made here, or its signing key was rotated; GET /admin/api-keys lists the valid "
                "ones. Reading the catalog needs none.",
                headers=KEY_CHALLENGE,
            )
        if key.kind == "secret" and has_origin:
            return errors.Forbidden(
                "A secret API key must not be sent by a browser, whose users can read it. Use a publishable key, and a "
                "token of POST /auth/user-token for the user."
            )
        scope["aisle.key"] = key
        revocations.refresh()
        return _revoked() if revocations.is_revoked(key.id) else None

    def cross_origin(self, origin: bytes) -> HeaderList:
        """Return the headers that CORSMiddleware would add, for responses that do not pass through it."""
        origins = settings().cors_origins
        exposed = (b"access-control-expose-headers", ", ".join(EXPOSED).encode())
        if "*" in origins:
            return [(b"access-control-allow-origin", b"*"), exposed]
        if origin.decode("latin-1") in origins:
            return [(b"access-control-allow-origin", origin), (b"vary", b"Origin"), exposed]
        return [(b"vary", b"Origin")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        begun = scope.get("aisle.begun")
        request_id, headers, refusal = begun if begun is not None else self.begin(scope)
        path: str = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            path = path.rstrip("/") or "/"
        # the framework's catch-all route leaves its own path parameters and router in the scope
        scope = {
            **scope,
            "path": path,
            "raw_path": path.encode("utf-8", "surrogateescape"),
            "request_id": request_id,
            "path_params": {},
            "router": None,
        }
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        limit = self.max_body.get(path, MAX_BODY_BYTES)
        refusal = refusal or self.refuse(scope, limit)
        with trace_of(scope["headers"], request_id):
            try:
                if refusal is None and "aisle.key" in scope and not revocations.is_known():
                    await revocations.first_read()
                    refusal = _revoked() if revocations.is_revoked(scope["aisle.key"].id) else None
                if refusal is not None:
                    raise refusal
                await self.stack(scope, _limited(receive, limit), send_with_headers)
            except AppError as error:
                if status == 0:
                    await problem_response(error, path, request_id)(scope, receive, send_with_headers)
            except Exception:
                log.exception("unhandled error", extra={"path": path})
                if status == 0:
                    unexpected = AppError("The error was logged under this request id.")
                    await problem_response(unexpected, path, request_id)(scope, receive, send_with_headers)
                # Otherwise the response has begun. If the error were raised, the framework would begin another one.
            took_ms = (time.perf_counter() - started) * 1000
            # the platform logs every request; this line adds the fields that the platform does not know
            if log.isEnabledFor(logging.DEBUG) or status >= 500 or took_ms > 1000:
                level = logging.ERROR if status >= 500 else logging.WARNING if took_ms > 1000 else logging.DEBUG
                log.log(
                    level,
                    "request",
                    extra={"method": scope["method"], "path": path, "status": status, "ms": round(took_ms, 1)},
                )

    def refuse(self, scope: Scope, limit: int) -> AppError | None:
        """Return the error that refuses a request before its function sees it; None for an acceptable request."""
        query: bytes = scope["query_string"]
        if b"\0" in query or "\0" in scope["path"] or b"%00" in query or not _is_text(query):
            return errors.InvalidRequest("The query string is not text: remove NUL bytes and encode it as UTF-8.")
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > limit:
                return errors.BodyTooLarge(f"The body must be at most {limit} bytes.")
        return None


def _revoked() -> AppError:
    return errors.InvalidApiKey("The API key is revoked; use another one.", headers=KEY_CHALLENGE)


def _is_text(query: bytes) -> bool:
    if b"%" not in query:
        return query.isascii()
    try:
        unquote(query.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def _limited(receive: Receive, limit: int) -> Receive:
    """Limit a body that comes without Content-Length."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > limit:
                raise errors.BodyTooLarge(f"The body must be at most {limit} bytes.")
        return message

    return counted
