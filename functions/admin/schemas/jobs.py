"""Request and response models of jobs."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from shared.http import Query


class JobRun(BaseModel):
    """A run of a job."""

    id: int = Field(description="Id of the run.")
    job: str = Field(description="Name of the job.")
    started_at: datetime = Field(description="When it started.")
    ended_at: datetime | None = Field(description="When it ended; null while it runs.")
    outcome: str = Field(description="`running`, `succeeded` or `failed`.")
    details: dict[str, Any] = Field(description="Its result, or the error.")


class JobsQuery(Query):
    """How many runs of each job to list."""

    runs: Annotated[int, Field(ge=1, le=50, description="Runs of each job.")] = 5


class JobSchedule(BaseModel):
    """A job's state in Cloud Scheduler."""

    state: str = Field(description="`enabled`, `paused`, `disabled` or `update_failed`.")
    next_run_at: datetime | None = Field(description="When it runs next; null if unknown.")
    last_attempt_at: datetime | None = Field(description="When it was last started; null if never.")
    last_attempt_failed: bool = Field(description="Whether the last attempt failed.")


class JobScheduleChange(JobSchedule):
    """The schedule of a job after a change."""

    job: str = Field(description="Name of the job.")


class Job(BaseModel):
    """A job and its last runs, latest first."""

    name: str = Field(description="Name of the job.")
    schedule: str | None = Field(description="Cron expression; null if the job runs on demand.")
    scheduler: JobSchedule | None = Field(
        None, description="State in Cloud Scheduler; null where that does not run the jobs."
    )
    timeout_s: int = Field(description="Maximum duration of a run, in seconds.")
    runs: list[JobRun] = Field(description="The last runs.")


class JobList(BaseModel):
    """All jobs."""

    jobs: list[Job] = Field(description="The jobs.")


class JobRunResult(BaseModel):
    """A run that ended (200) or continues (202)."""

    job: str = Field(description="Name of the job.")
    status: str = Field(description="`succeeded` or `running`.")
    result: dict[str, Any] | None = Field(None, description="The job's result; null while it runs.")
