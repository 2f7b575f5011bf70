"""What can be configured: one frozen object, read from the environment on first use, never at import."""

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from shared.errors import MissingSetting
from shared.validation import field_errors


class Settings(BaseModel):
    """Every setting by its environment variable's name in lower case. README has the same table."""

    model_config = ConfigDict(frozen=True)

    environment: str = Field("local", pattern="^(local|dev|prod)$", description="local, dev or prod")
    google_cloud_project: str | None = Field(None, description="the project whose Pub/Sub topics are used")
    database_url: SecretStr | None = Field(None, description="postgresql+pg8000://user:password@host:port/name")
    cloud_sql_instance: str | None = Field(
        None,
        pattern="^[a-z0-9:.-]+:[a-z0-9-]+:[a-z0-9-]+$",
        description="project:region:instance in Cloud SQL, reached by its connector instead of DATABASE_URL",
    )
    database_user: str | None = Field(None, description="who logs in to CLOUD_SQL_INSTANCE with its Google identity")
    database_name: str = Field("aisle", description="the database in CLOUD_SQL_INSTANCE")
    database_role: str | None = Field(
        None, pattern="^[a-z_][a-z0-9_]*$", description="the Postgres role that every connection acts in"
    )
    database_owners: tuple[str, ...] = Field(
        (), description="for migrate: Postgres users that may change the schema, separated by commas"
    )
    database_writers: tuple[str, ...] = Field(
        (), description="for migrate: Postgres users that may read and write rows, separated by commas"
    )
    database_pool_size: int = Field(5, ge=1, le=50, description="connections per instance")
    database_timeout_s: float = Field(5, gt=0, le=300, description="longest wait for a connection to be made or freed")
    statement_timeout_s: float = Field(20, gt=0, le=3600, description="longest statement of a serving function")
    redis_url: SecretStr | None = Field(None, description="redis[s]://:password@host:port/0")
    redis_ca: str | None = Field(
        None, description="PEM of the authorities that a rediss:// server must be signed by; the system's if not set"
    )
    redis_timeout_s: float = Field(0.25, gt=0, le=10, description="longest wait for Redis before it is bypassed")
    admin_token: SecretStr | None = Field(None, description="bearer token of the admin routes (16 characters or more)")
    token_keys: SecretStr | None = Field(
        None, description="keys of access tokens: kid:secret,kid2:secret2 or JSON; the first signs, all are accepted"
    )
    token_algorithm: str = Field("HS256", pattern="^HS(256|384|512)$", description="how access tokens are signed")
    access_token_s: int = Field(1800, ge=1, le=86_400, description="how long an access token is accepted")
    refresh_token_s: int = Field(604_800, ge=1, le=7_776_000, description="how long a refresh token is accepted")
    jobs_url: str | None = Field(None, description="where jobs are run by name; in the cloud Cloud Scheduler does")
    scheduler_location: str | None = Field(
        None, description="the region of Cloud Scheduler's jobs, which /admin/jobs then lists, runs and pauses"
    )
    scheduler_emulator_host: str | None = Field(None, description="host:port of a stand-in for Cloud Scheduler's API")
    cors_origins: tuple[str, ...] = Field(("*",), description="origins of storefronts, separated by commas; * for any")
    rate_limit_per_minute: int = Field(
        6000, ge=0, description="requests per client and minute and function; 0: no limit"
    )
    trusted_proxies: int = Field(0, ge=0, le=5, description="proxies in front that append to X-Forwarded-For")
    publish_timeout_s: float = Field(10, gt=0, le=60, description="longest wait for Pub/Sub to take an event")
    distance_half_km: float = Field(
        50, gt=0, le=20_000, description="distance at which a product's bonus for being near is halved"
    )
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
    payment_provider: str = Field(
        "fake",
        pattern="^(fake|fake-declines|fake-times-out)$",
        description="who takes the money: fake, fake-declines or fake-times-out",
    )
    payment_timeout_s: float = Field(10, gt=0, le=20, description="longest wait for the payment provider's answer")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least severity that is logged")

    @field_validator("cors_origins", "database_owners", "database_writers", mode="before")
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

    @model_validator(mode="after")
    def signing_keys(self) -> Self:
        """Refuse keys that cannot be read, or are shorter than the signature that they make (RFC 7518, 3.2)."""
        least = int(self.token_algorithm.removeprefix("HS")) // 8
        if any(len(secret) < least for secret in self.keys_by_id.values()):
            raise ValueError(f"TOKEN_KEYS: each secret needs at least {least} bytes")
        return self

    @property
    def keys_by_id(self) -> dict[str, bytes]:
        """The secrets of TOKEN_KEYS by key id, in order; empty where none are set. Raises ValueError."""
        if self.token_keys is None:
            return {}
        text = self.token_keys.get_secret_value().strip()
        if text.startswith("{"):
            try:
                pairs = list(json.loads(text).items())
            except json.JSONDecodeError:
                raise ValueError("TOKEN_KEYS: is not valid JSON") from None
        else:
            pairs = [tuple(part.strip().partition(":")[::2]) for part in text.split(",")]
        if not pairs or not all(kid and isinstance(secret, str) for kid, secret in pairs):
            raise ValueError("TOKEN_KEYS: must be kid:secret,kid2:secret2 or a JSON object of them")
        return {kid: secret.encode() for kid, secret in pairs}

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
        first = field_errors(error)[0]
        # an error over several settings has no field; its message begins with the setting's name
        name, reason = first["field"].partition(".")[0].upper(), first["message"]
        if not name:
            name, _, reason = reason.partition(": ")
        raise MissingSetting(f"The setting {name} is not valid: {reason}.") from None


@cache
def settings() -> Settings:
    """Return this process's settings."""
    return read(os.environ)
