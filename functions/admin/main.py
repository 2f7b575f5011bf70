"""HTTP: operating the shop: dashboard, caches, models, jobs, audit log, rejected events. Needs the admin token."""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Path
from fastapi import Query as QueryParameters
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from functions.admin import rules, runner, shapes, training
from shared.auth import Admin, require_admin
from shared.errors import AppError, InvalidRequest, JobNotFound, MalformedBody, Unavailable
from shared.http import api, cached, fresh, serve
from shared.http.api import problem_responses
from shared.http.problems import MEDIA_TYPE
from shared.manifest import manifest
from shared.storage import audit, cache, dashboard, models, rejected, runs
from shared.storage.database import transaction

app = api("admin", "Operating the shop. Every route needs the admin token.", needs=("postgres", "redis", "pubsub"))
# on the router, so that no route can forget it
router = APIRouter(
    prefix="/admin", tags=["admin"], dependencies=[Depends(require_admin)], responses=problem_responses(401, 403)
)

Page = Annotated[shapes.Page, QueryParameters()]
Version = Annotated[int, Path(ge=1, le=2**31 - 1)]
DASHBOARD_TTL_S = 60


def private(request: Request, body: Any) -> Response:
    """Return a JSON answer that only its asker may keep."""
    return fresh(request, body if isinstance(body, bytes) else orjson.dumps(body), max_age_s=0, public=False)


def job_names() -> list[str]:
    """Return the name of every job of functions.yaml."""
    return [entry.name for entry in manifest().of_kind("job")]


def render() -> bytes:
    """Return the dashboard as JSON."""
    return dashboard.render(job_names())


@router.get("/dashboard", response_model=shapes.Dashboard)
async def get_dashboard(request: Request) -> Response:
    """Return the shop at a glance, at most a minute old."""
    body = await cached("dashboard", "admin:dashboard", ttl_s=DASHBOARD_TTL_S, compute=render)
    return private(request, body)


def flush(actor: str, *scopes: str) -> shapes.Message:
    """Make stored answers invalid, and write who did. Nothing is written when Redis is away."""
    with transaction() as connection:
        audit.record(connection, actor, "cache.flush", ",".join(scopes) or "all")
        if not cache.flush(*scopes):
            raise Unavailable("Redis is away: nothing was flushed, and nothing is answered from it.")
    return shapes.Message(message=f"Flushed the cache of {', '.join(scopes) or 'everything'}.")


@router.post("/cache/flush")
def flush_all(actor: Admin) -> shapes.Message:
    """Make every stored answer invalid."""
    return flush(actor)


@router.post("/cache/flush/{scope}")
def flush_scope(actor: Admin, scope: Literal["recommendations", "similar", "trending"]) -> shapes.Message:
    """Make the stored answers of one kind invalid."""
    return flush(actor, scope)


@router.get("/models", response_model=shapes.Models)
def get_models(request: Request) -> Response:
    """List the model versions, newest first."""
    return private(request, {"models": models.list_models()})


@router.post("/models/{version}/activate", responses=problem_responses(404, 409))
def activate_model(actor: Admin, version: Version) -> shapes.Activated:
    """Serve from a version published earlier, from the next request on."""
    with transaction() as connection:
        previous = models.activate(connection, version)
        audit.record(
            connection, actor, "model.activate", str(version), before={"version": previous}, after={"version": version}
        )
    cache.flush("similar", "recommendations", "dashboard")
    return shapes.Activated(version=version, previous=previous)


@router.get("/jobs", response_model=shapes.Jobs)
def get_jobs(request: Request, query: Annotated[shapes.JobsQuery, QueryParameters()]) -> Response:
    """List the jobs with their schedules and last runs."""
    entries = manifest().of_kind("job")
    latest = runs.latest([entry.name for entry in entries], query.runs)
    found = [
        {
            "name": entry.name,
            "schedule": entry.schedule,
            "timeout_s": entry.timeout_s,
            "runs": [run._asdict() for run in latest[entry.name]],
        }
        for entry in entries
    ]
    return private(request, {"jobs": found})


@router.post(
    "/jobs/{name}/run",
    response_model=shapes.Started,
    responses={**problem_responses(404, 409), 202: {"model": shapes.Started, "description": "It goes on"}},
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def run_job(actor: Admin, request: Request, name: str) -> Response:
    """Run a job now; the JSON body is its parameters. Waits for its result for a while, then answers 202."""
    if name not in job_names():
        raise JobNotFound(f"There is no job {name}; there are {', '.join(job_names())}.")
    body = await request.body()
    try:
        parameters = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"The body is not valid JSON: {error}.") from None
    if not isinstance(parameters, dict):
        raise InvalidRequest("The body must be an object: the job's parameters.")
    return await run_in_threadpool(start, actor, name, parameters, request)


def start(actor: str, name: str, parameters: dict[str, Any], request: Request) -> Response:
    """Write who runs what, run it, and pass on its answer."""
    url = runner.address()
    with transaction() as connection:
        audit.record(connection, actor, "job.run", name, after=parameters)
    answer = runner.run(url, name, orjson.dumps(parameters))
    if answer is None:
        started = {"job": name, "status": "running", "result": None}
        return Response(orjson.dumps(started), 202, media_type="application/json")
    status, result = answer
    if status == 200:
        ended = {"job": name, "status": "succeeded", "result": result}
        return Response(orjson.dumps(ended), media_type="application/json")
    # the job's own problem, as an answer to this request
    problem = AppError().problem() | {"status": status} | result
    problem |= {"instance": request.url.path, "request_id": request.scope.get("request_id", "")}
    return Response(orjson.dumps(problem), status, media_type=MEDIA_TYPE)


@router.get("/audit-log", response_model=shapes.AuditLog)
def get_audit_log(request: Request, query: Page) -> Response:
    """Page through what was written by these routes, newest first."""
    entries, total = audit.page(query.page_size, query.offset)
    return private(request, {"entries": [entry._asdict() for entry in entries]} | query.of(total))


@router.get("/rejected-events", response_model=shapes.RejectedEvents)
def get_rejected_events(request: Request, query: Page) -> Response:
    """Page through the events that could never succeed, with their reasons, newest first."""
    entries, total = rejected.page(query.page_size, query.offset)
    return private(request, {"entries": [entry._asdict() for entry in entries]} | query.of(total))


router.include_router(rules.router)
router.include_router(training.router)
app.include_router(router)

admin = serve(app)
