"""Response models of operations."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class MessagesOfMinute(BaseModel):
    """The messages with events in one minute. A message has the events of one user from one request."""

    start: datetime = Field(description="When the minute began.")
    accepted: int = Field(description="Messages that Pub/Sub accepted from the functions.")
    applied: int = Field(description="Messages whose events took effect.")


class WaitingMessages(BaseModel):
    """The messages that wait for an event function."""

    subscription: str = Field(description="Name of the subscription and of its function.")
    waiting: int = Field(description="Messages that are not applied yet.")
    oldest_age_s: float | None = Field(description="Age of the oldest of them in seconds; null if none waits.")


class RouteFigures(BaseModel):
    """The requests of a route in the last hour."""

    function: str = Field(description="Function that answers.")
    route: str | None = Field(description="Method and path; null where only the function is known.")
    requests: int = Field(description="Number of requests.")
    failed: int = Field(description="Requests answered with a status of 500 or more.")
    error_share: float = Field(description="Failed requests as a share of all.")
    p50_ms: float | None = Field(description="Median of the time to answer, in milliseconds.")
    p95_ms: float | None = Field(description="95th percentile of the time to answer, in milliseconds.")
    cache_hit_rate: float | None = Field(
        description="Share of answers from Redis among those that may be stored; null without any, or if unknown."
    )


class UnavailableFigure(BaseModel):
    """A figure that cannot be read."""

    figure: Literal["traffic", "queues", "routes", "cache"] = Field(
        description="Name of the figure; `cache` stands for the cache hit rates."
    )
    reason: str = Field(description="Why, and what to do.")


class Operations(BaseModel):
    """How the system is performing."""

    source: Literal["local", "cloud_monitoring", "none"] = Field(description="Where the figures come from.")
    traffic: list[MessagesOfMinute] | None = Field(description="The last 60 minutes, oldest first.")
    queues: list[WaitingMessages] | None = Field(description="The messages waiting for each event function.")
    routes: list[RouteFigures] | None = Field(description="Routes with requests, the one with most first.")
    unavailable: list[UnavailableFigure] = Field(description="Which figures are null or incomplete, and why.")
