"""Routes of jobs: their schedules and last runs; running, pausing and resuming them."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path
from fastapi import Query as QueryParameters
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from functions.admin import runner, schedules
from functions.admin.answering import private
from functions.admin.schemas.jobs import JobList, JobRunResult, JobScheduleChange, JobsQuery
from shared.clients.postgres import transaction
from shared.domain.json_values import storable_json
from shared.errors import AppError, InvalidRequest, JobNotFound, MalformedBody, Unavailable
from shared.http.api import problem_responses
from shared.http.credentials import requires
from shared.http.problems import MEDIA_TYPE
from shared.manifest import manifest
from shared.storage.operations import audit, job_runs

router = APIRouter(prefix="/jobs", tags=["jobs"])
JobsAdmin = Annotated[str, requires("jobs:run")]
JobName = Annotated[str, Path(description="Name of the job.")]


def job_names() -> list[str]:
    """Return the name of every job of functions.yaml."""
    return [entry.name for entry in manifest().of_kind("job")]


def check_name(name: str) -> None:
    """Raise JobNotFound unless functions.yaml has the job."""
    if name not in job_names():
        raise JobNotFound(f"There is no job {name}. Jobs: {', '.join(job_names())}.")


@router.get("", dependencies=[requires("jobs:read")], response_model=JobList)
def list_jobs(request: Request, query: Annotated[JobsQuery, QueryParameters()]) -> Response:
    """List the jobs with their schedules, their state in Cloud Scheduler, and their last runs."""
    entries = manifest().of_kind("job")
    latest = job_runs.latest([entry.name for entry in entries], query.runs)
    scheduled = schedules.list_schedules() if schedules.managed_by_cloud_scheduler() else {}
    jobs = [
        {
            "name": entry.name,
            "schedule": entry.schedule,
            "scheduler": scheduled[entry.name]._asdict() if entry.name in scheduled else None,
            "timeout_s": entry.timeout_s,
            "runs": [run._asdict() for run in latest[entry.name]],
        }
        for entry in entries
    ]
    return private(request, {"jobs": jobs})


@router.post(
    "/{name}/run",
    response_model=JobRunResult,
    responses={**problem_responses(404, 409), 202: {"model": JobRunResult, "description": "The job is still running."}},
    openapi_extra={
        "requestBody": {
            "description": "The job's parameters. In the cloud it takes none.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
)
async def run_job(actor: JobsAdmin, request: Request, name: JobName) -> Response:
    """Run a job now. Audited.

    The JSON body holds the job's parameters. The response has the job's result, or is 202 if the job takes longer
    than the request. In the cloud, Cloud Scheduler runs the job without parameters and the response is always 202.
    """
    check_name(name)
    body = await request.body()
    try:
        parameters = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"The body is not valid JSON: {error}.") from None
    if not isinstance(parameters, dict):
        raise InvalidRequest("The body must be a JSON object with the job's parameters.")
    try:
        # the audit log stores the parameters
        storable_json(parameters)
    except ValueError as error:
        raise InvalidRequest(f"The job's parameters {error}.") from None
    return await run_in_threadpool(start_job, actor, name, parameters, request)


def start_job(actor: str, name: str, parameters: dict[str, Any], request: Request) -> Response:
    """Write the run to the audit log, start the job, and return the response to the request."""
    still_running = Response(
        orjson.dumps({"job": name, "status": "running", "result": None}), 202, media_type="application/json"
    )
    if schedules.managed_by_cloud_scheduler():
        if parameters:
            raise InvalidRequest("Cloud Scheduler runs a job as scheduled, without parameters; send an empty body.")
        if manifest().entries[name].schedule is None:
            raise Unavailable(f"{name} runs on demand only: call its URL (docs/runbooks/first-deployment.md).")
        with transaction() as connection:
            audit.record(connection, actor, "job.run", name)
            schedules.run(name)
        return still_running
    url = runner.jobs_url()
    with transaction() as connection:
        audit.record(connection, actor, "job.run", name, after=parameters)
    answer = runner.run(url, name, orjson.dumps(parameters))
    if answer is None:
        return still_running
    if answer.status == 200:
        succeeded = {"job": name, "status": "succeeded", "result": answer.body}
        return Response(orjson.dumps(succeeded), media_type="application/json")
    # the job's own problem becomes the answer to this request
    problem = AppError().problem() | {"status": answer.status} | answer.body
    problem |= {"instance": request.url.path, "request_id": request.scope.get("request_id", "")}
    headers = {"Retry-After": answer.retry_after} if answer.retry_after else None
    return Response(orjson.dumps(problem), answer.status, headers, MEDIA_TYPE)


@router.post("/{name}/pause", responses=problem_responses(404))
def pause_job(actor: JobsAdmin, name: JobName) -> JobScheduleChange:
    """Pause a job's schedule. In the cloud only. Audited."""
    check_name(name)
    with transaction() as connection:
        audit.record(connection, actor, "job.pause", name)
        return JobScheduleChange(job=name, **schedules.pause(name)._asdict())


@router.post("/{name}/resume", responses=problem_responses(404))
def resume_job(actor: JobsAdmin, name: JobName) -> JobScheduleChange:
    """Resume a job's schedule. In the cloud only. Audited."""
    check_name(name)
    with transaction() as connection:
        audit.record(connection, actor, "job.resume", name)
        return JobScheduleChange(job=name, **schedules.resume(name)._asdict())
