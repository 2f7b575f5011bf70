"""Request and response models of the dashboard."""

from datetime import date as Date  # noqa: N812 — a field is called `date`, which would hide the type

from pydantic import BaseModel, Field

from functions.admin.schemas.jobs import JobRun
from functions.admin.schemas.models import ModelVersion
from shared.domain.product import Product


class DailyEventCount(BaseModel):
    """Events of one type on one day, which begins at midnight in the time zone of the shop."""

    date: Date = Field(description="The day.")
    event_type: str = Field(description="Type of the events.")
    event_count: int = Field(description="Number of events.")
    unique_users: int = Field(description="Number of different users.")
    unique_products: int = Field(description="Number of different products.")


class TrendingEntry(BaseModel):
    """A trending product."""

    product: Product = Field(description="The product.")
    score: float = Field(description="Trending score; compares products of one window.")
    event_count: int = Field(description="Number of events in the window.")
    time_window: str = Field(description="`7d` or `30d`.")


class CacheStatistics(BaseModel):
    """Counters of Redis since it started, over all keys."""

    hits: int = Field(description="Reads that found a key.")
    misses: int = Field(description="Reads that found none.")
    hit_rate: float | None = Field(description="Hits as a share of reads; null without reads.")
    commands_per_second: int = Field(description="Commands in the last second.")
    used_memory_bytes: int = Field(description="Memory in bytes.")


class ApiStatistics(BaseModel):
    """Measurements of the API."""

    cache: CacheStatistics | None = Field(description="Counters of Redis; null while it does not answer.")


class RecommendationMetrics(BaseModel):
    """Reactions to the recommendations of one kind, strategy and model version in the last 30 days."""

    kind: str = Field(description="Kind of recommendation.")
    strategy: str = Field(description="How the products were chosen.")
    model_version: int | None = Field(description="Model version; null where none was used.")
    answers: int = Field(description="Computed answers. A stored answer that is served again counts once.")
    impressions: int = Field(description="Products reported as seen.")
    clicks: int = Field(description="Products reported as clicked.")
    ctr: float | None = Field(description="Clicks per impression; null without impressions.")
    add_to_carts: int = Field(description="Recommended products that the same user put in the cart within 24 hours.")
    purchases: int = Field(description="Recommended products that the same user bought within 24 hours.")
    conversion: float | None = Field(description="Share of answers that led to a purchase; null without answers.")


class Dashboard(BaseModel):
    """The shop at a glance, at most a minute old."""

    events_by_day: list[DailyEventCount] = Field(description="Events of the last 30 days, including today so far.")
    top_trending: list[TrendingEntry] = Field(description="The first ten products of each window.")
    recommendations: list[RecommendationMetrics] = Field(description="Reactions to recommendations.")
    api_stats: ApiStatistics = Field(description="How the API performs.")
    total_events: int = Field(description="Number of events.")
    total_users: int = Field(description="Number of users.")
    total_products: int = Field(description="Number of active products.")
    active_model: ModelVersion | None = Field(description="The active model version; null if there is none.")
    jobs: list[JobRun] = Field(description="The last run of each job.")
    rejected_events: int = Field(description="Number of rejected events.")
    unsent_messages: int = Field(description="Messages in the outbox that Pub/Sub does not have yet.")
