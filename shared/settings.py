"""What can be configured: one frozen object, read from the environment on first use, never at import."""

import os
from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from shared.errors import MissingSetting


class Settings(BaseModel):
    """Every setting by its environment variable's name in lower case. README has the same table."""

    model_config = ConfigDict(frozen=True)

    environment: str = Field("local", pattern="^(local|dev|prod)$", description="local, dev or prod")
    google_cloud_project: str | None = Field(None, description="the project whose Pub/Sub topics are used")
    database_url: SecretStr | None = Field(None, description="postgresql+pg8000://user:password@host:port/name")
    database_pool_size: int = Field(5, ge=1, le=50, description="connections per instance")
    database_timeout_s: float = Field(5, gt=0, le=300, description="longest wait for a connection to be made or freed")
    statement_timeout_s: float = Field(20, gt=0, le=3600, description="longest statement of a serving function")
    redis_url: SecretStr | None = Field(None, description="redis[s]://:password@host:port/0")
    redis_timeout_s: float = Field(0.25, gt=0, le=10, description="longest wait for Redis before it is bypassed")
    admin_token: SecretStr | None = Field(None, description="bearer token of the admin routes (16 characters or more)")
    jobs_url: str | None = Field(None, description="where jobs are run by name; in the cloud Cloud Scheduler does")
    cors_origins: tuple[str, ...] = Field(("*",), description="origins of storefronts, separated by commas; * for any")
    rate_limit_per_minute: int = Field(
        6000, ge=0, description="requests per client and minute and function; 0: no limit"
    )
    trusted_proxies: int = Field(0, ge=0, le=5, description="proxies in front that append to X-Forwarded-For")
    publish_timeout_s: float = Field(10, gt=0, le=60, description="longest wait for Pub/Sub to take an event")
    recommendation_ttl_s: int = Field(300, ge=1, description="how long a user's answers are kept while nothing happens")
    profile_events: int = Field(
        50, ge=1, le=200, description="last events that make a profile, where the model says none"
    )
    exploration_share: float = Field(
        0, ge=0, le=0.5, description="share of the places of /recommendations for new products; 0: none"
    )
    exploration_days: int = Field(14, ge=1, le=365, description="products younger than this are new")
    similarity_lookback_days: int = Field(90, ge=1, description="what similarity learns from; see ALL_HISTORY_BELOW")
    all_history_below: int = Field(
        2_000_000, ge=0, description="shops with fewer events learn from their whole history"
    )
    similarity_budget_s: float = Field(
        600, ge=0, le=86_400, description="seconds that similarity may spend on choosing and tuning its model"
    )
    event_retention_months: int = Field(13, ge=1, le=120, description="events older than this are dropped")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least severity that is logged")

    @field_validator("cors_origins", mode="before")
    @classmethod
    def split_commas(cls, value: object) -> object:
        """Read a comma-separated list."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("admin_token")
    @classmethod
    def not_guessable(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse a token short enough to be guessed."""
        if value is not None and len(value.get_secret_value()) < 16:
            raise ValueError("needs at least 16 characters")
        return value

    def require(self, name: str) -> str:
        """Return the value of a setting that has no default; raise MissingSetting, naming it, when it is not set."""
        value = getattr(self, name)
        if value is None:
            raise MissingSetting(
                f"Set the environment variable {name.upper()}: {type(self).model_fields[name].description}."
            )
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def read(environ: Mapping[str, str]) -> Settings:
    """Read the settings from ``environ``; an empty variable is not set. Raises MissingSetting with the reason."""
    values = {name: environ[name.upper()] for name in Settings.model_fields if environ.get(name.upper())}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise MissingSetting(f"The setting {str(first['loc'][0]).upper()} is not valid: {first['msg']}.") from None


@cache
def settings() -> Settings:
    """Return this process's settings."""
    return read(os.environ)
