"""Cloud Scheduler: the state of its jobs, and running, pausing and resuming them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, NamedTuple

from shared.clients import closed_on_reset
from shared.errors import InvalidRequest, JobNotFound, Unavailable
from shared.settings import settings

TIMEOUT_S: Final = 10.0


class Schedule(NamedTuple):
    """A job's state in Cloud Scheduler; ``state`` is enabled, paused, disabled or update_failed."""

    state: str
    next_run_at: str | None
    last_attempt_at: str | None
    last_attempt_failed: bool


def managed_by_cloud_scheduler() -> bool:
    """Whether Cloud Scheduler runs the jobs of this deployment."""
    return settings().scheduler_location is not None


@cache
def client() -> Any:
    """Return the process's client. It uses REST: these rare calls are not worth a gRPC channel and its threads."""
    from google.cloud import scheduler_v1
    from google.cloud.scheduler_v1.services.cloud_scheduler.transports import CloudSchedulerRestTransport

    if emulator := settings().scheduler_emulator_host:
        from google.auth.credentials import AnonymousCredentials

        transport = CloudSchedulerRestTransport(host=emulator, url_scheme="http", credentials=AnonymousCredentials())
        return scheduler_v1.CloudSchedulerClient(transport=transport)
    return scheduler_v1.CloudSchedulerClient(transport="rest")


@closed_on_reset
def close() -> None:
    """Close the client and forget it."""
    if client.cache_info().currsize:
        client().transport.close()
    client.cache_clear()


def parent() -> str:
    """Return the resource name that contains the jobs. Raises Unavailable where Cloud Scheduler does not run them."""
    if not managed_by_cloud_scheduler():
        raise Unavailable("Schedules can be paused and resumed in the cloud only, where SCHEDULER_LOCATION is set.")
    return f"projects/{settings().require('google_cloud_project')}/locations/{settings().scheduler_location}"


@contextmanager
def _translated_errors(name: str = "") -> Iterator[None]:
    """Raise the library's errors as JobNotFound, InvalidRequest and Unavailable."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except exceptions.NotFound:
        raise JobNotFound(f"Cloud Scheduler has no job {name}: the job has no schedule, or is not deployed.") from None
    except exceptions.FailedPrecondition as error:
        raise InvalidRequest(f"Cloud Scheduler refuses: {error.message}") from None
    except (exceptions.GoogleAPIError, GoogleAuthError, OSError) as error:
        raise Unavailable(f"Cloud Scheduler does not answer: {str(error)[:300]}") from error


def list_schedules() -> dict[str, Schedule]:
    """Return the schedule of each job by its name; jobs that run on demand have none."""
    with _translated_errors():
        jobs = client().list_jobs(parent=parent(), timeout=TIMEOUT_S)
        return {job.name.rsplit("/", 1)[1]: _schedule(job) for job in jobs}


def run(name: str) -> None:
    """Have Cloud Scheduler run the job now, without waiting for it."""
    path = f"{parent()}/jobs/{name}"
    with _translated_errors(name):
        client().run_job(name=path, timeout=TIMEOUT_S)


def pause(name: str) -> Schedule:
    """Pause the job's schedule. A run that has begun continues."""
    path = f"{parent()}/jobs/{name}"
    with _translated_errors(name):
        return _schedule(client().pause_job(name=path, timeout=TIMEOUT_S))


def resume(name: str) -> Schedule:
    """Resume the job's schedule."""
    path = f"{parent()}/jobs/{name}"
    with _translated_errors(name):
        return _schedule(client().resume_job(name=path, timeout=TIMEOUT_S))


def _schedule(job: Any) -> Schedule:
    def moment(value: Any) -> str | None:
        return value.isoformat() if value else None

    return Schedule(
        state=job.state.name.lower(),
        next_run_at=moment(job.schedule_time),
        last_attempt_at=moment(job.last_attempt_time),
        last_attempt_failed=bool(job.status.code),
    )
