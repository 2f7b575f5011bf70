"""The answers of the admin routes, for their description."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.http import Query
from shared.manifest import manifest


class Page(Query):
    """Which page of a list."""

    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    page_size: Annotated[int, Field(ge=1, le=100)] = 50

    @property
    def offset(self) -> int:
        """How many entries come before this page."""
        return (self.page - 1) * self.page_size

    def of(self, total: int) -> dict[str, int]:
        """Return the members that say where in the whole this page is."""
        pages = -(-total // self.page_size)
        return {"total": total, "page": self.page, "page_size": self.page_size, "total_pages": pages}


class JobsQuery(Query):
    """How many of each job's runs to list."""

    runs: Annotated[int, Field(ge=1, le=50)] = 5


class Export(BaseModel):
    """Everything held on a user; events and answers as they are stored."""

    model_config = ConfigDict(extra="allow")

    exported_at: datetime
    profile: dict[str, Any]


class Message(BaseModel):
    """What was done, in words."""

    message: str


class Day(BaseModel):
    """Events of one type on one day (UTC)."""

    date: date
    event_type: str
    event_count: int
    unique_users: int
    unique_products: int


class Trend(BaseModel):
    """A product that trends; ``product`` is a whole Product."""

    product: dict[str, Any]
    score: float
    event_count: int
    time_window: str


class CacheStats(BaseModel):
    """What Redis counted since it started, over all keys."""

    hits: int
    misses: int
    hit_rate: float | None
    commands_per_second: int
    used_memory_bytes: int


class ApiStats(BaseModel):
    """What is measured of the API; ``cache`` is null while Redis is away."""

    cache: CacheStats | None


class Run(BaseModel):
    """One run of a job."""

    id: int
    job: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str = Field(description="running, succeeded or failed")
    details: dict[str, Any]


class Model(BaseModel):
    """One model version; ``stored``: it can be activated."""

    version: int
    algorithm: str
    parameters: dict[str, Any]
    metrics: dict[str, Any]
    active: bool
    published_at: datetime
    stored: bool


class Shown(BaseModel):
    """What became of the recommendations of one kind, strategy and model version in the last 30 days."""

    kind: str
    strategy: str
    model_version: int | None
    answers: int = Field(description="computed; a stored one that is given again counts once")
    impressions: int
    clicks: int
    ctr: float | None = Field(description="clicks per impression")
    add_to_carts: int = Field(description="of products shown, by the same user within 24 hours")
    purchases: int
    conversion: float | None = Field(description="the share of answers of which something was bought")


class Dashboard(BaseModel):
    """The shop at a glance, at most a minute old."""

    events_by_day: list[Day] = Field(description="the last 30 days, today live")
    top_trending: list[Trend] = Field(description="the first ten of each window")
    recommendations: list[Shown]
    api_stats: ApiStats
    total_events: int
    total_users: int
    total_products: int
    active_model: Model | None
    jobs: list[Run] = Field(description="the last run of each job")
    rejected_events: int
    unsent_messages: int


class Models(BaseModel):
    """Model versions, newest first."""

    models: list[Model]


class Activated(BaseModel):
    """The version that is active now, and the one that was."""

    version: int
    previous: int | None


class Schedule(BaseModel):
    """What Cloud Scheduler says of a job."""

    state: str = Field(description="enabled, paused, disabled or update_failed")
    next_run_at: datetime | None
    last_attempt_at: datetime | None
    last_attempt_failed: bool


class Scheduled(Schedule):
    """A job whose schedule was changed."""

    job: str


class Job(BaseModel):
    """A job and its last runs, latest first; without a schedule it runs on demand."""

    name: str
    schedule: str | None
    scheduler: Schedule | None = Field(None, description="what Cloud Scheduler says; null where it does not run jobs")
    timeout_s: int
    runs: list[Run]


class Jobs(BaseModel):
    """Every job there is."""

    jobs: list[Job]


class Started(BaseModel):
    """A run that ended (200, with its result) or goes on (202)."""

    job: str
    status: str
    result: dict[str, Any] | None = None


class AuditEntry(BaseModel):
    """One write through the admin routes."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str | None


class AuditLog(BaseModel):
    """A page of the audit log, newest first."""

    entries: list[AuditEntry]
    total: int
    page: int
    page_size: int
    total_pages: int


class RejectedEvent(BaseModel):
    """What could never succeed; position -1 is a whole message."""

    id: int
    message_id: str
    position: int
    event: Any
    reason: str
    rejected_at: datetime


class RejectedEvents(BaseModel):
    """A page of what was rejected, newest first."""

    entries: list[RejectedEvent]
    total: int
    page: int
    page_size: int
    total_pages: int


def a_topic(name: str) -> str:
    """Return the name of a topic of functions.yaml; raise ValueError for any other."""
    if name not in manifest().topics:
        raise ValueError(f"there is no topic {name[:100]!r}; there are {', '.join(manifest().topics)}")
    return name


Topic = Annotated[str, AfterValidator(a_topic), Field(description="a topic of functions.yaml")]


class DeadLetterQuery(Query):
    """Which dead letters to list."""

    topic: Topic | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class DeadLetter(BaseModel):
    """A message that no function took after all attempts; ``data`` is base64 where it is not UTF-8."""

    topic: str
    message_id: str
    subscription: str | None = Field(description="that gave up; null where the emulator does not say")
    attempts: int | None
    published_at: str
    attributes: dict[str, str]
    data: str


class DeadLetters(BaseModel):
    """What waits."""

    dead_letters: list[DeadLetter]


class Replay(BaseModel):
    """Which dead letters to publish again: all of a topic up to a limit, or those named."""

    model_config = ConfigDict(extra="forbid")

    topic: Topic
    limit: int = Field(100, ge=1, le=1000)
    message_ids: list[str] | None = Field(None, min_length=1, max_length=1000)


class Replayed(BaseModel):
    """What was published again, and how many were seen and left."""

    topic: str
    replayed: list[str]
    left: int


class Finding(BaseModel):
    """What one check of the doctor saw."""

    check: str
    verdict: str = Field(description="well, warning, failed or skipped")
    detail: str


class Examination(BaseModel):
    """What the doctor saw; healthy: nothing failed."""

    healthy: bool
    findings: list[Finding]
