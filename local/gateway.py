"""All HTTP functions behind one port, routed by the paths of `functions.yaml` like the load balancer in the cloud."""

import argparse
import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from local import doors, openapi
from local.api_examples import stored
from local.processes import report_ready
from shared.errors import AppError, JobNotFound, MethodNotAllowed, NotFound, Unavailable
from shared.http.answers import fresh
from shared.http.serve import unversioned
from shared.manifest import Manifest, manifest, serving

if TYPE_CHECKING:
    from shared.http.health import Checks

OWN_PATHS = ("/", "/health", "/health/ready", "/openapi.json", "/metrics")
HEALTH_NAMES = {"postgres": "database", "redis": "redis"}
CHECK_TIMEOUT_S = 3.0
# how long connections may take to send a request once the server stops: uvicorn closes those that have sent none
UNREAD_S = 0.5
# hop-by-hop (RFC 9110, section 7.6.1), or set by the server itself
NOT_FORWARDED = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server", "host"}


class Gateway:
    """Routes a request to the application that serves its path, or to the fallback."""

    def __init__(self, apps: Mapping[str, ASGIApp], fallback: ASGIApp) -> None:
        self.apps = dict(apps)
        self.fallback = fallback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.find(unversioned(scope["path"]))(scope, receive, send)

    def find(self, path: str) -> ASGIApp:
        """Return the application for a path."""
        app = serving(self.apps, path)
        return self.fallback if app is None else app


class Root:
    """The path /: a page for a browser, the index of all paths for a program."""

    def __init__(self, page: ASGIApp, index: ASGIApp) -> None:
        self.page, self.index = page, index

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepts = b"".join(value for name, value in scope["headers"] if name == b"accept")
        await (self.page if b"text/html" in accepts else self.index)(scope, receive, send)


def problem(error: AppError, request: Request) -> Response:
    """Return the answer for an error of the gateway itself."""
    request_id = request.headers.get("x-request-id") or os.urandom(12).hex()
    body = error.problem() | {"instance": request.url.path, "request_id": request_id}
    headers = dict(error.headers) | {"X-Request-ID": request_id}
    return Response(orjson.dumps(body), error.status, headers, "application/problem+json")


class OwnRoutes:
    """The routes that the gateway answers itself: index, health, the union of the OpenAPI documents, and jobs."""

    def __init__(self, deployed: Manifest, functions: Mapping[str, ASGIApp], jobs_url: str | None) -> None:
        self.deployed = deployed
        self.functions = functions
        self.jobs_url = jobs_url
        self.description: bytes | None = None
        self.client: httpx.AsyncClient | None = None
        self.checks: Checks | None = None

    def app(self) -> Starlette:
        """Return the routes as an application."""
        origins = [origin.strip() for origin in os.environ.get("CORS_ORIGINS", "*").split(",") if origin.strip()]
        return Starlette(
            routes=[
                Route("/", self.index),
                Route("/health", self.health),
                Route("/health/ready", self.ready),
                Route("/openapi.json", self.openapi),
            ],
            middleware=[
                Middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"]),
                Middleware(GZipMiddleware, minimum_size=1024),
            ],
            exception_handlers={HTTPException: self.not_served},
        )

    def private(self) -> Starlette:
        """Return the routes of operators as an application of its own: pages of other origins may not read them."""
        return Starlette(
            routes=[Route("/_jobs/{name}", self.job, methods=["POST"]), Route("/metrics", self.metrics)],
            exception_handlers={HTTPException: self.not_served},
        )

    async def index(self, _request: Request) -> Response:
        """List everything that is served."""
        served = {
            "name": "Aisle",
            "functions": {entry.name: list(entry.paths) for entry in self.deployed.of_kind("http")},
            "jobs": [f"/_jobs/{entry.name}" for entry in self.deployed.of_kind("job")],
            "links": {"docs": "/docs", "openapi": "/openapi.json", "health": "/health", "ready": "/health/ready"},
        }
        return JSONResponse(served, headers={"Vary": "Accept"})

    async def _check(self, services: tuple[str, ...]) -> dict[str, bool]:
        from shared.http.health import Checks

        if self.checks is None:
            self.checks = Checks()
        checks = self.checks

        async def is_healthy(service: str) -> bool:
            try:
                return await asyncio.wait_for(asyncio.to_thread(checks, service), CHECK_TIMEOUT_S)
            except TimeoutError:
                return False

        return dict(zip(services, await asyncio.gather(*map(is_healthy, services)), strict=True))

    async def health(self, _request: Request) -> Response:
        """Answer 200 while the gateway is alive, with the state of the database and the cache."""
        healthy = await self._check(tuple(HEALTH_NAMES))
        parts = {name: "healthy" if healthy[service] else "unhealthy" for service, name in HEALTH_NAMES.items()}
        status = "healthy" if all(healthy.values()) else "degraded"
        return JSONResponse({"status": status, **parts, "timestamp": datetime.now(UTC).isoformat()})

    async def ready(self, _request: Request) -> Response:
        """Answer 200 if every service that any function needs is there, otherwise 503."""
        checks = await self._check(("postgres", "redis", "pubsub", "model"))
        ready = all(checks.values())
        return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503)

    async def openapi(self, request: Request) -> Response:
        """Return the OpenAPI document of all functions together."""
        if self.description is None:
            documents = {}
            for name, app in self.functions.items():
                async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
                    answer = await client.get("/openapi.json")
                if answer.status_code == 200:
                    documents[name] = answer.json()
            self.description = orjson.dumps(stored.add(openapi.union(documents)))
        return fresh(request, self.description, max_age_s=0)

    async def job(self, request: Request) -> Response:
        """Run a job as Cloud Scheduler would, in the jobs worker, which checks the token."""
        try:
            doors.check_request(request.headers)
        except AppError as error:
            return problem(error, request)
        name = request.path_params["name"]
        names = [entry.name for entry in self.deployed.of_kind("job")]
        if name not in names:
            return problem(JobNotFound(f"Unknown job {name!r}. The jobs are {', '.join(names)}."), request)
        if self.jobs_url is None:
            return problem(Unavailable("Jobs cannot be run here: set JOBS_URL."), request)
        if self.client is None:
            # a job may take as long as its time-out allows
            self.client = httpx.AsyncClient(timeout=httpx.Timeout(None, connect=5))
        headers = {name: value for name, value in request.headers.items() if name not in NOT_FORWARDED}
        try:
            answer = await self.client.post(f"{self.jobs_url}/{name}", content=await request.body(), headers=headers)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            return problem(Unavailable(f"The jobs worker does not answer: {reason}. See ./aisle status."), request)
        forwarded = {name: value for name, value in answer.headers.items() if name not in NOT_FORWARDED}
        return Response(answer.content, answer.status_code, forwarded)

    async def metrics(self, request: Request) -> Response:
        """Return the metrics of all parts in Prometheus' text format, from the part that receives them."""
        url = os.environ.get(doors.TELEMETRY_URL)
        try:
            doors.check_caller(request.headers)
            if not url:
                raise Unavailable("No metrics are kept here: OTEL_EXPORTER_OTLP_ENDPOINT sends them elsewhere.")
            async with httpx.AsyncClient(timeout=5) as client:
                answer = await client.get(f"{url}/metrics")
        except AppError as error:
            return problem(error, request)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            return problem(Unavailable(f"The telemetry part does not answer: {reason}. See ./aisle status."), request)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    async def not_served(self, request: Request, error: Exception) -> Response:
        """Answer a path or a method that is not served with a problem that names the served paths."""
        assert isinstance(error, HTTPException)
        path = request.url.path
        if len(path) > 1 and path.endswith("/") and (path.rstrip("/") or "/") in OWN_PATHS:
            return Response(status_code=308, headers={"Location": path.rstrip("/") or "/"})
        if error.status_code == 405:
            refusal: AppError = MethodNotAllowed(f"{path} does not accept {request.method}.", headers=error.headers)
        else:
            paths = sorted({*self.deployed.paths, *OWN_PATHS})
            refusal = NotFound(f"Nothing is served at {path}. The paths are {', '.join(paths)}.", paths=paths)
        return problem(refusal, request)


def gateway(
    deployed: Manifest, create: Callable[[str], ASGIApp], jobs_url: str | None = None
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return the application that serves all HTTP functions; ``create`` returns the application of a function."""
    functions = {entry.name: create(entry.name) for entry in deployed.of_kind("http")}
    own = OwnRoutes(deployed, functions, jobs_url)
    apps: dict[str, ASGIApp] = {path: functions[name] for path, name in deployed.paths.items()}
    private, public = own.private(), own.app()
    root = Root(apps["/"], public)
    return Gateway(apps | {"/": root, "/_jobs": private, "/metrics": private}, public)


def serve(app: Any, sockets: list[socket.socket]) -> None:
    """Serve until SIGTERM, then finish the running requests."""
    import uvicorn

    class Server(uvicorn.Server):
        """Reads the requests of the connections that it has accepted before it closes those that wait for one."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            for server in self.servers:
                server.close()
            # clients continue on a new connection, which another process accepts
            self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
            await asyncio.sleep(UNREAD_S)
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        # the applications have no lifespan, and trust no proxy but those of their settings
        lifespan="off",
        proxy_headers=False,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
    report_ready()
    Server(config).run(sockets=sockets)


def main() -> None:
    """Serve on sockets that the supervisor opened, passed as descriptor numbers."""
    parser = argparse.ArgumentParser(prog="python -m local.gateway")
    parser.add_argument("--fd", type=int, nargs="+", required=True)
    chosen = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    from local.apps import create
    from shared.clients import pubsub

    # in this process all functions run, which a deployment starts one by one
    pubsub.connect_in_background()
    serve(gateway(manifest(), create, os.environ.get("JOBS_URL")), [socket.socket(fileno=fd) for fd in chosen.fd])


if __name__ == "__main__":
    main()
