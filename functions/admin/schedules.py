"""Cloud Scheduler's jobs: their state, and running, pausing and resuming them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, NamedTuple

from shared.clients import closed_on_reset
from shared.errors import InvalidRequest, JobNotFound, Unavailable
from shared.settings import settings

TIMEOUT_S: Final = 10.0


class Schedule(NamedTuple):
    """What Cloud Scheduler says of a job; ``state`` is enabled, paused, disabled or update_failed."""

    state: str
    next_run_at: str | None
    last_attempt_at: str | None
    last_attempt_failed: bool


def here() -> bool:
    """Whether jobs are run by Cloud Scheduler here."""
    return settings().scheduler_location is not None


@cache
def client() -> Any:
    """Return the process's client, over REST: gRPC would cost this rare call another channel and its threads."""
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
    """Return the folder of this project's jobs. Raises Unavailable where Cloud Scheduler does not run them."""
    if not here():
        raise Unavailable("Schedules are paused and resumed in the cloud only: SCHEDULER_LOCATION is not set.")
    return f"projects/{settings().require('google_cloud_project')}/locations/{settings().scheduler_location}"


@contextmanager
def _asked(name: str = "") -> Iterator[None]:
    """Make the library's errors ours."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except exceptions.NotFound:
        raise JobNotFound(f"Cloud Scheduler has no job {name}: it has no schedule, or was not deployed.") from None
    except exceptions.FailedPrecondition as error:
        raise InvalidRequest(f"Cloud Scheduler refuses: {error.message}") from None
    except (exceptions.GoogleAPIError, GoogleAuthError, OSError) as error:
        raise Unavailable(f"Cloud Scheduler does not answer: {str(error)[:300]}") from error


def listed() -> dict[str, Schedule]:
    """Return every job's schedule by its name; jobs that run on demand have none."""
    with _asked():
        found = client().list_jobs(parent=parent(), timeout=TIMEOUT_S)
        return {job.name.rsplit("/", 1)[1]: _schedule(job) for job in found}


def run(name: str) -> None:
    """Have Cloud Scheduler run the job now; it goes on by itself."""
    path = f"{parent()}/jobs/{name}"
    with _asked(name):
        client().run_job(name=path, timeout=TIMEOUT_S)


def pause(name: str) -> Schedule:
    """Stop the job's schedule until it is resumed; a run that has begun goes on."""
    path = f"{parent()}/jobs/{name}"
    with _asked(name):
        return _schedule(client().pause_job(name=path, timeout=TIMEOUT_S))


def resume(name: str) -> Schedule:
    """Let the job's schedule go on."""
    path = f"{parent()}/jobs/{name}"
    with _asked(name):
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
