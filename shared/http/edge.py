"""The layer around every function: request ids, limits, CORS, compression, problems, logs.

``Edge`` is a single plain ASGI middleware. The hot path (serve.py), which skips the application, applies the same
rules.
"""

import asyncio
import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import api_keys, errors, event_origin, gates
from shared.api_keys import KEY_CHALLENGE
from shared.errors import AppError
from shared.http import bodies, geo, revocations
from shared.http.client_address import client_address, network_of
from shared.http.limits import WINDOW_S, Limiter, Pace
from shared.http.observed import observed
from shared.http.problems import problem_response
from shared.http.scopes import HEAD, basic_user, check_query, header, is_head, is_preflight, without_slash
from shared.logs import trace_of
from shared.settings import settings

log = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._:/=+@-]{1,128}")
MAX_BODY_BYTES = 131_072
EXPOSED = (
    "X-Request-ID",
    "ETag",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Location",
    "Idempotent-Replayed",
    "Cache-Status",
)
ALLOWED_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "X-API-Key",
    "X-Request-ID",
    "traceparent",
    "tracestate",
    "baggage",
)
HeaderList = list[tuple[bytes, bytes]]
UNLIMITED = ("/health",)
ANY_PATH = "*"
# Additional rate-limit cost of a request that the application refuses with 429. A client that keeps sending without
# waiting is soon refused here, where that is cheap.
REFUSED_COST: Final = 20
# Advertising networks and mail tools append these to links; they must neither be refused nor fragment the caches.
TRACKING_PARAMETERS: Final = (
    *(f"utm_{name}" for name in ("source", "medium", "campaign", "term", "content", "id")),
    *("gclid", "gbraid", "wbraid", "fbclid", "msclkid", "_ga", "_gl", "_"),
)
TRACKING: Final = re.compile(rf"(?:^|&)(?:{'|'.join(TRACKING_PARAMETERS)})(?:=[^&]*)?(?=&|$)".encode())
NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
HSTS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
# Headers that describe a body which the application receives in a different form.
DESCRIBING_BODIES: Final = frozenset({b"content-type", b"content-length", b"content-encoding"})
NO_STORE: Final = (b"cache-control", b"no-store")


class Edge:
    """Wraps an application. ``begin`` is the part shared with the hot path.

    By path: ``max_body`` (bytes) and ``max_values`` (JSON values) raise the limits on bodies; ``costs`` is how many
    requests one request counts as in the rate limit. Paths in ``raw_bodies`` accept bodies other than JSON, those in
    ``text_bodies`` JSON labelled text/plain, as beacons send it, and those in ``form_bodies`` also HTML forms: the
    application gets their fields as JSON, and ``scope["aisle.form"]``. ANY_PATH stands for every path not named.
    ``gzip_bodies`` accepts bodies with Content-Encoding gzip, up to the same limits when decompressed. ``basic_keys``
    treats the user of ``Authorization: Basic`` as an API key, as Segment's libraries send it.
    """

    def __init__(
        self,
        app: ASGIApp,
        name: str,
        max_body: Mapping[str, int] | None = None,
        *,
        max_values: Mapping[str, int] | None = None,
        costs: Mapping[str, int] | None = None,
        raw_bodies: frozenset[str] = frozenset(),
        text_bodies: frozenset[str] = frozenset(),
        form_bodies: frozenset[str] = frozenset(),
        gzip_bodies: bool = False,
        basic_keys: bool = False,
        located: Mapping[str, Sequence[bytes]] | None = None,
    ) -> None:
        self.name = name
        self.max_body = max_body or {}
        self.max_values = max_values or {}
        self.costs = costs or {}
        self.raw_bodies, self.text_bodies, self.form_bodies = raw_bodies, text_bodies, form_bodies
        self.gzip_bodies, self.basic_keys = gzip_bodies, basic_keys
        self.located = located or {}
        self.limiter = Limiter(name)
        self.pace = Pace()
        self.inner = app

    @cached_property
    def stack(self) -> ASGIApp:
        """The application inside Starlette's compression and CORS. Needs settings, so it is built on first request."""
        origins = settings().cors_origins
        return CORSMiddleware(
            GZipMiddleware(self.inner, minimum_size=1024, compresslevel=5),
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[*ALLOWED_HEADERS, *settings().cors_headers],
            expose_headers=list(EXPOSED),
            max_age=86_400,
        )

    def begin(self, scope: Scope) -> tuple[str, HeaderList, AppError | None]:
        """Return the request's id, headers for its response, and the error that rejects it, if any.

        A valid API key is moved from the header or the query string to ``scope["aisle.key"]``.
        """
        request_id = ""
        keys: list[str] = []
        has_origin = False
        credentials = 0
        https = scope.get("scheme") == "https"
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                request_id = value.decode("latin-1")
            elif name == b"authorization":
                credentials += 1
                if self.basic_keys and value[:6].lower() == b"basic ":
                    keys.append(basic_user(value[6:]))
            elif name == b"x-forwarded-proto":
                https = value == b"https"
            elif name == b"x-api-key":
                keys.append(value.decode("latin-1").strip())
            elif name == b"origin":
                has_origin = True
        query: bytes = scope["query_string"]
        keys_in_url: list[str] = []
        if b"key=" in query or b"api_secret=" in query:
            # Before logging, validation and the keys of stored answers.
            scope["query_string"], keys_in_url = api_keys.take_from_query(query)
        if not request_id or not REQUEST_ID.fullmatch(request_id):
            request_id = os.urandom(12).hex()
        peer = (scope.get("client") or ("",))[0]
        client = client_address(scope["headers"], peer, settings().trusted_proxies)
        scope["aisle.client"] = client
        method = scope["method"]
        cost = 1
        if method == "GET" or method == "HEAD":
            query = scope["query_string"]
            if query and TRACKING.search(query):
                scope["query_string"] = TRACKING.sub(b"", query).removeprefix(b"&")
            geo_header = settings().geo_header
            needed = None if geo_header is None else self.located.get(without_slash(scope["path"]))
            if geo_header is not None and needed is not None:
                with_place = geo.located(scope["query_string"], needed, scope["headers"], geo_header)
                if with_place is not None:
                    scope["query_string"] = with_place
                    # An upstream cache does not know that the response depends on this header.
                    scope["aisle.located"] = True
        else:
            cost = self.costs.get(without_slash(scope["path"]), 1)
        headers: HeaderList = [(b"x-request-id", request_id.encode()), NOSNIFF]
        if https:
            headers.append(HSTS)
        if credentials > 1:
            return request_id, headers, errors.InvalidRequest("Send one Authorization header, not several.")
        refusal = self.admit_key(scope, keys, keys_in_url, has_origin) if keys or keys_in_url else None
        limit = settings().rate_limit_per_minute
        if limit == 0 or scope["path"] in UNLIMITED or (method == "OPTIONS" and is_preflight(scope)):
            return request_id, headers, refusal
        remaining, reset_s = self.limiter.take(client, cost)
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
        """Put the request's API key into the scope, or return the error that rejects it. Does no I/O."""
        if any(text.startswith("sk_") for text in keys_in_url):
            return errors.Forbidden(
                "A secret API key must never be in a URL, because logs and browser histories keep URLs. Revoke this "
                "key, and send a new one in the header X-API-Key."
            )
        texts = {*keys, *keys_in_url}
        if len(texts) > 1:
            return errors.InvalidApiKey("Send one API key, in the header X-API-Key.", headers=KEY_CHALLENGE)
        key = api_keys.verify(texts.pop())
        if key is None:
            return errors.InvalidApiKey(
                "The API key was not created here, or its signing key was rotated; GET /admin/api-keys lists the valid "
                "keys. Reading the catalog needs no key.",
                headers=KEY_CHALLENGE,
            )
        if key.kind == "secret" and has_origin:
            return errors.Forbidden(
                "A secret API key must not be sent by a browser, because its user can read it. Use a publishable key, "
                "and a token from POST /auth/user-token for the user."
            )
        scope["aisle.key"] = key
        revocations.refresh()
        return _revoked() if revocations.is_revoked(key.id) else None

    def cross_origin(self, origin: bytes) -> HeaderList:
        """Return the headers that CORSMiddleware would add, for responses that do not pass through it."""
        headers = self.timing(origin)
        exposed = (b"access-control-expose-headers", ", ".join(EXPOSED).encode())
        if "*" in settings().cors_origins:
            return [(b"access-control-allow-origin", b"*"), exposed, *headers]
        if headers:
            return [(b"access-control-allow-origin", origin), (b"vary", b"Origin"), exposed, *headers]
        return [(b"vary", b"Origin")]

    def timing(self, origin: bytes) -> HeaderList:
        """Return the header that lets an allowed origin read the timing of its requests; none for other origins."""
        origins = settings().cors_origins
        if "*" in origins:
            return [(b"timing-allow-origin", b"*")]
        return [(b"timing-allow-origin", origin)] if origin.decode("latin-1") in origins else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        begun = scope.get("aisle.begun")
        request_id, headers, refusal = begun if begun is not None else self.begin(scope)
        path = without_slash(scope["path"])
        # The framework's catch-all route leaves itself, its path parameters and its router in the scope.
        scope = {
            **scope,
            "path": path,
            "raw_path": path.encode("utf-8", "surrogateescape"),
            "request_id": request_id,
            "path_params": {},
            "route": None,
            "router": None,
        }
        if scope["method"] == "HEAD":
            scope |= {"method": "GET", HEAD: True}
        origin = header(scope, b"origin")
        further = self.timing(origin) if origin else []
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = message.get("headers", ())
                stored = any(name == b"cache-control" for name, _value in own)
                # A response without a lifetime of its own must not be cached.
                message["headers"] = [*own, *headers, *further, *(() if stored else (NO_STORE,))]
                if request is not None:
                    request.begin_response(scope, message)
            elif message["type"] == "http.response.body":
                if is_head(scope):
                    message = {**message, "body": b""}
                if request is not None:
                    await request.before_end(message)
            await send(message)

        key = scope.get("aisle.key")
        sender = event_origin.sent_by(
            network_of(scope.get("aisle.client", "")),
            header(scope, b"user-agent").decode("latin-1"),
            vouched=key is not None and key.kind == "secret",
        )
        # The shop's server acts for many people; and if there is no rate limit, nothing is limited per client.
        is_bounded = settings().rate_limit_per_minute and not (key is not None and key.kind == "secret")
        client = scope.get("aisle.client", "") if is_bounded else None
        with (
            observed(self.name, scope, request_id) as request,
            trace_of(scope["headers"], request_id),
            sender,
            gates.acting_for(client),
        ):
            try:
                if refusal is None and "aisle.key" in scope and not revocations.is_known():
                    await revocations.first_read()
                    refusal = _revoked() if revocations.is_revoked(scope["aisle.key"].id) else None
                if refusal is not None:
                    raise refusal
                receive = await self.admitted(scope, receive)
                await self.stack(scope, receive, send_with_headers)
            except AppError as error:
                if status == 0:
                    if origin:
                        further = self.cross_origin(origin)
                    await problem_response(error, path, request_id)(scope, receive, send_with_headers)
            except Exception:
                log.exception("unhandled error", extra={"path": path})
                if status == 0:
                    unexpected = AppError("The error was logged under this request id.")
                    await problem_response(unexpected, path, request_id)(scope, receive, send_with_headers)
                # Otherwise the response has started; if the error were raised, the framework would start another one.
            if status == 429 and refusal is None:
                self.limiter.charge(scope.get("aisle.client", ""), REFUSED_COST)
            took_ms = (time.perf_counter() - started) * 1000
            # The platform logs every request; this line adds fields that the platform does not know.
            if log.isEnabledFor(logging.DEBUG) or status >= 500 or took_ms > 1000:
                level = logging.ERROR if status >= 500 else logging.WARNING if took_ms > 1000 else logging.DEBUG
                log.log(
                    level,
                    "request",
                    extra={"method": scope["method"], "path": path, "status": status, "ms": round(took_ms, 1)},
                )

    async def admitted(self, scope: Scope, receive: Receive) -> Receive:
        """Return a ``receive`` with the whole body. Raises the error if the query or body is rejected up front.

        The body is read here, so that its limit also applies without a Content-Length.
        """
        check_query(scope)
        if scope["method"] not in bodies.METHODS:
            return receive
        path = scope["path"]
        limit = self.max_body.get(path, self.max_body.get(ANY_PATH, MAX_BODY_BYTES))
        length = header(scope, b"content-length")
        if length.isdigit() and int(length) > limit:
            raise errors.BodyTooLarge(f"The body must be at most {limit} bytes; send it in parts.")
        if path in self.raw_bodies:
            # The function checks the credential before reading that much.
            return bodies.limited(receive, limit)
        size = int(length) if length.isdigit() else 0
        await self.paced(scope, size)
        body = await bodies.read_body(receive, limit)
        await self.paced(scope, len(body) - size)
        if body:
            media_types = {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in scope["headers"]
                if name in (b"content-type", b"content-encoding")
            }
            is_packed = self.gzip_bodies and bodies.is_gzip(media_types)
            if is_packed:
                packed = len(body)
                body = await bodies.unpacked(body, limit)
                await self.paced(scope, len(body) - packed)
                del media_types["content-encoding"]
            is_text = path in self.text_bodies or ANY_PATH in self.text_bodies
            is_form = path in self.form_bodies and bodies.is_form(media_types.get("content-type", ""))
            if is_form:
                body = bodies.form_as_json(body)
                media_types["content-type"] = "application/json"
                scope["aisle.form"] = True
            bodies.check_type(media_types, text_is_json=is_text)
            most = self.max_values.get(path, self.max_values.get(ANY_PATH, bodies.MAX_VALUES))
            await bodies.check_content(body, most)
            if is_form or is_packed or (is_text and not bodies.is_json(media_types.get("content-type", ""))):
                others = [pair for pair in scope["headers"] if pair[0] not in DESCRIBING_BODIES]
                scope["headers"] = [*others, (b"content-type", b"application/json")]
        return bodies.replayed(body, receive)

    async def paced(self, scope: Scope, size: int) -> None:
        """Wait until the client may send a large body. Raises RateLimited if that would take long."""
        if size > bodies.LARGE_BYTES and (wait_s := self.pace.wait_s(scope.get("aisle.client", ""), size)) > 0:
            await asyncio.sleep(wait_s)


def _revoked() -> AppError:
    return errors.InvalidApiKey("The API key is revoked; use another one.", headers=KEY_CHALLENGE)
