"""Jobs: their schedules and last runs; run one now, pause and resume it."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter
from fastapi import Query as QueryParameters
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from functions.admin import runner, schedules, schemas
from shared.auth import requires
from shared.clients.postgres import transaction
from shared.errors import AppError, InvalidRequest, JobNotFound, MalformedBody, Unavailable
from shared.http import fresh
from shared.http.api import problem_responses
from shared.http.problems import MEDIA_TYPE
from shared.manifest import manifest
from shared.storage.operations import audit, job_runs

# included in the admin router
router = APIRouter(prefix="/jobs")


def job_names() -> list[str]:
    """Return the name of every job of functions.yaml."""
    return [entry.name for entry in manifest().of_kind("job")]


def known(name: str) -> None:
    """Raise JobNotFound unless functions.yaml has the job."""
    if name not in job_names():
        raise JobNotFound(f"There is no job {name}; there are {', '.join(job_names())}.")


@router.get("", dependencies=[requires("jobs:read")], response_model=schemas.Jobs)
def get_jobs(request: Request, query: Annotated[schemas.JobsQuery, QueryParameters()]) -> Response:
    """List the jobs with their schedules, what Cloud Scheduler says of them, and their last runs."""
    entries = manifest().of_kind("job")
    latest = job_runs.latest([entry.name for entry in entries], query.runs)
    scheduled = schedules.listed() if schedules.here() else {}
    found = [
        {
            "name": entry.name,
            "schedule": entry.schedule,
            "scheduler": scheduled[entry.name]._asdict() if entry.name in scheduled else None,
            "timeout_s": entry.timeout_s,
            "runs": [run._asdict() for run in latest[entry.name]],
        }
        for entry in entries
    ]
    return fresh(request, orjson.dumps({"jobs": found}), max_age_s=0, public=False)


@router.post(
    "/{name}/run",
    response_model=schemas.Started,
    responses={**problem_responses(404, 409), 202: {"model": schemas.Started, "description": "It goes on"}},
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def run_job(actor: Annotated[str, requires("jobs:run")], request: Request, name: str) -> Response:
    """Run a job now; the JSON body is its parameters. Waits for its result for a while, then answers 202.

    In the cloud Cloud Scheduler runs it, without parameters and without waiting.
    """
    known(name)
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
    started = Response(
        orjson.dumps({"job": name, "status": "running", "result": None}), 202, media_type="application/json"
    )
    if schedules.here():
        if parameters:
            raise InvalidRequest("Cloud Scheduler runs a job as it is scheduled: without parameters.")
        if manifest().entries[name].schedule is None:
            raise Unavailable(f"{name} runs on demand only: call its URL (docs/runbooks/first-deployment.md).")
        with transaction() as connection:
            audit.record(connection, actor, "job.run", name)
            schedules.run(name)
        return started
    url = runner.address()
    with transaction() as connection:
        audit.record(connection, actor, "job.run", name, after=parameters)
    answer = runner.run(url, name, orjson.dumps(parameters))
    if answer is None:
        return started
    status, result = answer
    if status == 200:
        ended = {"job": name, "status": "succeeded", "result": result}
        return Response(orjson.dumps(ended), media_type="application/json")
    # the job's own problem, as an answer to this request
    problem = AppError().problem() | {"status": status} | result
    problem |= {"instance": request.url.path, "request_id": request.scope.get("request_id", "")}
    return Response(orjson.dumps(problem), status, media_type=MEDIA_TYPE)


@router.post("/{name}/pause", responses=problem_responses(404))
def pause_job(actor: Annotated[str, requires("jobs:run")], name: str) -> schemas.Scheduled:
    """Stop a job's schedule until it is resumed. In the cloud only."""
    known(name)
    with transaction() as connection:
        audit.record(connection, actor, "job.pause", name)
        return schemas.Scheduled(job=name, **schedules.pause(name)._asdict())


@router.post("/{name}/resume", responses=problem_responses(404))
def resume_job(actor: Annotated[str, requires("jobs:run")], name: str) -> schemas.Scheduled:
    """Let a job's schedule go on. In the cloud only."""
    known(name)
    with transaction() as connection:
        audit.record(connection, actor, "job.resume", name)
        return schemas.Scheduled(job=name, **schedules.resume(name)._asdict())
