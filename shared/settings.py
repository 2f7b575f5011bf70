"""Settings: one frozen object, read from the environment on first use, never at import."""

import json
import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from shared.domain.formula import NEARNESS_HALF_KM, PROFILE_EVENTS_MAX, Formula
from shared.errors import MissingSetting
from shared.validation import field_errors

log = logging.getLogger(__name__)

# Prefix of telemetry settings, whose environment variables have OpenTelemetry's names.
TELEMETRY: Final = "otel_"
# The length of the hash (SHA-256): RFC 2104, section 3.
MIN_MAC_KEY_BYTES: Final = 32


def _keys_by_id(name: str, value: SecretStr | None) -> dict[str, bytes]:
    """Return the secrets in a setting that contains a set of keys, by key id. Raises ValueError."""
    if value is None:
        return {}
    text = value.get_secret_value().strip()
    if text.startswith("{"):
        try:
            pairs = list(json.loads(text).items())
        except json.JSONDecodeError:
            raise ValueError(f"{name}: it is not valid JSON") from None
    else:
        pairs = [tuple(part.strip().partition(":")[::2]) for part in text.split(",")]
    if not pairs or not all(kid and isinstance(secret, str) for kid, secret in pairs):
        raise ValueError(f"{name}: it must be kid:secret,kid2:secret2 or a JSON object from key id to secret")
    return {kid: secret.encode() for kid, secret in pairs}


class IdentityIssuer(BaseModel):
    """Somebody who issues identity tokens of the shop's users (OpenID Connect)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(min_length=1, max_length=500, description="value of the claim `iss`")
    audience: tuple[str, ...] = Field(min_length=1, description="accepted values of the claim `aud`: one or a list")
    jwks_url: str = Field(pattern="^https?://", description="address of the issuer's public keys")

    @field_validator("audience", mode="before")
    @classmethod
    def one_or_several(cls, value: object) -> object:
        """Take one audience without brackets."""
        return (value,) if isinstance(value, str) else value


class SparkBatches(BaseModel):
    """Where the job `similarity` has Google train on Spark."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    location: str = Field(pattern="^[a-z]+-[a-z]+[0-9]+$", description="region of the batches")
    folder: str = Field(pattern="^(gs|file)://[^ ]+$", description="folder of the events and neighbours")
    image: str = Field(min_length=1, max_length=500, description="image of the executors: jobs/spark/Dockerfile")
    subnetwork: str = Field(min_length=1, max_length=500, description="subnetwork of the executors")
    service_account: str = Field(min_length=1, max_length=500, description="account of the executors")
    max_executors: int = Field(50, ge=2, le=2000, description="maximum number of executors of a batch")


class Settings(BaseModel):
    """Every setting; its environment variable has the same name in upper case. docs/settings.md has the same table."""

    model_config = ConfigDict(frozen=True)

    environment: str = Field("local", pattern="^(local|dev|prod)$", description="`local`, `dev` or `prod`")
    google_cloud_project: str | None = Field(None, description="Google Cloud project of the Pub/Sub topics")
    database_url: SecretStr | None = Field(
        None, description="address of Postgres: postgresql+pg8000://user:password@host:port/name"
    )
    cloud_sql_instance: str | None = Field(
        None,
        pattern="^[a-z0-9:.-]+:[a-z0-9-]+:[a-z0-9-]+$",
        description="Cloud SQL instance as project:region:instance, used through its connector instead of DATABASE_URL",
    )
    database_user: str | None = Field(
        None, description="Postgres user of CLOUD_SQL_INSTANCE; it logs in with its Google identity"
    )
    database_name: str = Field("aisle", description="name of the database in CLOUD_SQL_INSTANCE")
    database_role: str | None = Field(
        None, pattern="^[a-z_][a-z0-9_]*$", description="Postgres role that every connection switches to"
    )
    database_owners: tuple[str, ...] = Field(
        (), description="for the job `migrate`: Postgres users that may change the schema, separated by commas"
    )
    database_jobs: tuple[str, ...] = Field(
        (), description="for the job `migrate`: Postgres users that run jobs, separated by commas"
    )
    database_writers: tuple[str, ...] = Field(
        (), description="for the job `migrate`: Postgres users that may read and write rows, separated by commas"
    )
    database_pool_size: int = Field(5, ge=1, le=50, description="maximum number of Postgres connections per instance")
    database_timeout_s: float = Field(
        5, gt=0, le=300, description="seconds to wait for a Postgres connection, new or from the pool"
    )
    statement_timeout_s: float = Field(
        20, gt=0, le=3600, description="seconds after which Postgres cancels a statement of a serving function"
    )
    redis_url: SecretStr | None = Field(None, description="address of Redis: redis[s]://:password@host:port/0")
    redis_ca: str | None = Field(
        None,
        description="PEM certificates of the authorities that sign a rediss:// server; if not set, the system's",
    )
    redis_timeout_s: float = Field(
        0.25, gt=0, le=10, description="seconds to wait for Redis before a request bypasses it"
    )
    admin_token: SecretStr | None = Field(None, description="bearer token of the admin routes, at least 16 characters")
    token_keys: SecretStr | None = Field(
        None,
        description="keys of access tokens: kid:secret,kid2:secret2 or a JSON object; the first signs, all verify",
    )
    token_algorithm: str = Field(
        "HS256", pattern="^HS(256|384|512)$", description="algorithm that signs access tokens: HS256, HS384 or HS512"
    )
    api_mac_keys: SecretStr | None = Field(
        None,
        description="keys of the MACs in API keys, written like TOKEN_KEYS; the first makes new API keys, all verify; "
        "the key that hashes the clients of events is derived from the first",
    )
    webhook_keys: SecretStr | None = Field(
        None,
        description="keys of the signatures of webhooks, written like TOKEN_KEYS; all verify",
    )
    identity_issuers: tuple[IdentityIssuer, ...] = Field(
        (),
        description="issuers of the shop's own OpenID Connect tokens, as a JSON list of objects with "
        "`issuer`, `audience` and `jwks_url`",
    )
    trust_shop_ids: bool | None = Field(
        None,
        description="whether one of the shop's own user ids suffices to read and change that user's data; if not set, "
        "true in the environment `local` and false in others",
    )
    access_token_s: int = Field(1800, ge=1, le=86_400, description="seconds for which an access token is valid")
    refresh_token_s: int = Field(604_800, ge=1, le=7_776_000, description="seconds for which a refresh token is valid")
    jobs_url: str | None = Field(
        None, description="address that runs jobs by name, for the local system; in the cloud Cloud Scheduler runs them"
    )
    jobs_token: SecretStr | None = Field(
        None, description="bearer token of JOBS_URL; the local system makes a new one at each start"
    )
    allow_private_sources: bool = Field(
        False, description="whether jobs may fetch feeds from loopback and private addresses; link-local stays refused"
    )
    feed_secrets: SecretStr | None = Field(
        None, description="locally: the secrets of feeds in place of Secret Manager, a line aisle-feed-NAME=VALUE each"
    )
    source_max_mb: int = Field(4096, ge=1, description="size in MiB of the largest feed that a job fetches over HTTP")
    scheduler_location: str | None = Field(
        None, description="region of the Cloud Scheduler jobs that /admin/jobs lists, runs and pauses"
    )
    operations_url: str | None = Field(
        None,
        pattern=r"^http://[^\s/?#@]+/[^\s?#]*$",
        description="address of the figures of /admin/operations, for the local system; in the cloud Cloud Monitoring "
        "has them",
    )
    google_rest_emulator_host: str | None = Field(
        None, description="host:port of a stand-in for the REST APIs of Cloud Monitoring, IAM credentials and storage"
    )
    scheduler_emulator_host: str | None = Field(None, description="host:port of a stand-in for the Cloud Scheduler API")
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        description="address at which shoppers reach the functions; links in mails and pictures of products begin "
        "with it",
    )
    image_store: str | None = Field(
        None,
        pattern=r"^(gs://[a-z0-9][a-z0-9._-]{1,220}|file:///.+)$",
        description="where uploaded images of products are kept: gs://bucket; locally file:///folder",
    )
    mail_url: str | None = Field(
        None,
        pattern=r"^(console:|file:///.+|smtps?://[^\s/?#]+|https?://[^\s@]+)$",
        description="how mails are sent: smtp[s]://user@host:port or a provider's https:// address; locally also "
        "console: or file:///folder; if not set, no mail is sent",
    )
    mail_from: str | None = Field(
        None,
        pattern=r"^[^\r\n]*[^\s@]+@[^\s@]+$",
        description="sender of mails: shop@example.com or Shop <shop@example.com>",
    )
    mail_password: SecretStr | None = Field(
        None, description="password of the user in an smtp[s]:// MAIL_URL, or API key of an https:// one"
    )
    mail_timeout_s: float = Field(10, gt=0, le=60, description="seconds to wait for the mail server at each step")
    cors_origins: tuple[str, ...] = Field(
        ("*",), description="origins of storefronts, separated by commas; * allows any origin"
    )
    cors_headers: tuple[str, ...] = Field(
        (), description="further request headers that other origins may send, separated by commas"
    )
    rate_limit_per_minute: int = Field(
        6000, ge=0, description="requests per minute that a client may send to a function; 0 means no limit"
    )
    trusted_proxies: int = Field(
        0, ge=0, le=5, description="number of proxies in front of the functions that append to X-Forwarded-For"
    )
    geo_header: str | None = Field(
        None,
        pattern=r"^[A-Za-z][A-Za-z0-9-]{0,99}$",
        description="header in which the load balancer sends the client's latitude and longitude, separated by a comma",
    )
    publish_timeout_s: float = Field(10, gt=0, le=60, description="seconds to wait for Pub/Sub to store an event")
    distance_half_km: float = Field(
        NEARNESS_HALF_KM, gt=0, le=20_000, description="distance in km at which the bonus of a nearby product is half"
    )
    recommendation_ttl_s: int = Field(
        300, ge=1, description="seconds for which a user's recommendations are cached if nothing changes"
    )
    answers_ahead_users: int = Field(
        1000,
        ge=0,
        le=100_000,
        description="maximum number of users whose answers are computed ahead after a new model version",
    )
    answers_ahead_s: float = Field(
        60, gt=0, le=600, description="seconds after which the job `similarity` stops computing answers ahead"
    )
    profile_events: int = Field(
        Formula.profile_events,
        ge=1,
        le=PROFILE_EVENTS_MAX,
        description="number of a user's latest events in their profile, unless the active model sets it",
    )
    exploration_share: float = Field(
        0,
        ge=0,
        le=0.5,
        description="share of the positions in /recommendations reserved for new products; 0 reserves none",
    )
    exploration_days: int = Field(14, ge=1, le=365, description="age in days up to which a product is new")
    similarity_lookback_days: int = Field(
        90,
        ge=1,
        description="days of history that `similarity` learns from, in shops with at least ALL_HISTORY_BELOW events",
    )
    all_history_below: int = Field(
        2_000_000, ge=0, description="shops with fewer events than this learn from their complete history"
    )
    similarity_budget_s: float = Field(
        600, ge=0, le=86_400, description="predicted processor seconds that the job `similarity` may spend on tuning"
    )
    similarity_engine: str = Field(
        "local",
        pattern="^(local|spark|auto)$",
        description="where `similarity` fits the chosen model: `local`, `spark`, or `auto` by SPARK_FROM_PAIRS",
    )
    spark_from_pairs: int = Field(
        30_000_000,
        ge=0,
        description="with SIMILARITY_ENGINE=auto: pairs of user and product from which `similarity` trains on Spark; a "
        "product counts as seven",
    )
    spark_batches: SparkBatches | None = Field(
        None,
        description="where batches of Spark run, as a JSON object with `location`, `folder`, `image`, `subnetwork`, "
        "`service_account` and, if not 50, `max_executors`",
    )
    spark_emulator_host: str | None = Field(None, description="host:port of a stand-in for the API of Dataproc")
    event_retention_months: int = Field(
        13, ge=1, le=120, description="age in months after which the job `retention` drops events"
    )
    payment_provider: str = Field(
        "fake",
        pattern="^(fake|fake-declines|fake-times-out)$",
        description="payment provider: `fake`, `fake-declines` or `fake-times-out`",
    )
    payment_timeout_s: float = Field(10, gt=0, le=20, description="seconds to wait for the payment provider")
    log_level: str = Field(
        "INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="lowest severity that is logged: DEBUG, INFO, WARNING or ERROR",
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        description="where spans and metrics are sent, by OTLP over HTTP; if not set, none are recorded",
    )
    otel_traces_sampler_arg: float = Field(
        1, ge=0, le=1, description="share of the traces that are kept, among those whose caller does not decide it"
    )
    otel_sdk_disabled: bool = Field(False, description="whether neither spans nor metrics are recorded")

    @field_validator(
        "cors_origins", "cors_headers", "database_owners", "database_jobs", "database_writers", mode="before"
    )
    @classmethod
    def split_commas(cls, value: object) -> object:
        """Split a comma-separated list; ignore spaces and empty parts."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("public_url")
    @classmethod
    def without_slash(cls, value: str | None) -> str | None:
        """Drop a slash at the end: paths begin with one."""
        return value.rstrip("/") if value else value

    @field_validator("identity_issuers", "spark_batches", mode="before")
    @classmethod
    def parse_json(cls, value: object) -> object:
        """Parse the JSON of an environment variable."""
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            raise ValueError("must be JSON; docs/settings.md has the keys") from None

    @field_validator("admin_token")
    @classmethod
    def not_guessable(cls, value: SecretStr | None) -> SecretStr | None:
        """Reject a token that is short enough to be guessed."""
        if value is not None and len(value.get_secret_value()) < 16:
            raise ValueError("must have at least 16 characters")
        return value

    @model_validator(mode="after")
    def signing_keys(self) -> Self:
        """Reject keys that cannot be parsed, or that are shorter than the signatures they make (RFC 7518, 3.2)."""
        minimum = int(self.token_algorithm.removeprefix("HS")) // 8
        if any(len(secret) < minimum for secret in self.keys_by_id.values()):
            raise ValueError(f"TOKEN_KEYS: each secret must have at least {minimum} bytes")
        if any(len(secret) < MIN_MAC_KEY_BYTES for secret in self.mac_keys):
            raise ValueError(f"API_MAC_KEYS: each secret must have at least {MIN_MAC_KEY_BYTES} bytes")
        if any(len(secret) < MIN_MAC_KEY_BYTES for secret in self.signature_keys):
            raise ValueError(f"WEBHOOK_KEYS: each secret must have at least {MIN_MAC_KEY_BYTES} bytes")
        return self

    @model_validator(mode="after")
    def trustworthy_issuers(self) -> Self:
        """Reject issuers that are ambiguous, or whose keys could be replaced on their way."""
        names = [issuer.issuer for issuer in self.identity_issuers]
        if len(names) != len(set(names)) or "aisle" in names:
            raise ValueError("IDENTITY_ISSUERS: each issuer must be listed once, and none may be named aisle")
        if self.environment != "local" and any(
            not issuer.jwks_url.startswith("https://") for issuer in self.identity_issuers
        ):
            raise ValueError("IDENTITY_ISSUERS: jwks_url must begin with https:// outside the environment local")
        return self

    @model_validator(mode="after")
    def safe_mail(self) -> Self:
        """Reject mail without a sender, passwords in the URL, and ways that only suit one machine."""
        if self.mail_url is None:
            return self
        url = urlsplit(self.mail_url)
        if self.mail_from is None:
            raise ValueError("MAIL_FROM: set it beside MAIL_URL")
        if self.environment != "local" and url.scheme in ("console", "file", "http"):
            raise ValueError("MAIL_URL: it must begin with smtp://, smtps:// or https:// outside the environment local")
        if url.password is not None:
            raise ValueError("MAIL_URL: put the password into MAIL_PASSWORD")
        if self.mail_password is None and (url.scheme in ("http", "https") or url.username):
            raise ValueError("MAIL_PASSWORD: set it beside MAIL_URL")
        return self

    @model_validator(mode="after")
    def lasting_images(self) -> Self:
        """Reject a folder of an instance, which ends with it."""
        if self.environment != "local" and self.image_store is not None and not self.image_store.startswith("gs://"):
            raise ValueError("IMAGE_STORE: it must begin with gs:// outside the environment local")
        return self

    @property
    def keys_by_id(self) -> dict[str, bytes]:
        """The secrets of TOKEN_KEYS by key id, in order; empty if it is not set. Raises ValueError."""
        return _keys_by_id("TOKEN_KEYS", self.token_keys)

    @property
    def mac_keys(self) -> tuple[bytes, ...]:
        """The secrets of API_MAC_KEYS in order; empty if it is not set. Raises ValueError."""
        return tuple(_keys_by_id("API_MAC_KEYS", self.api_mac_keys).values())

    @property
    def signature_keys(self) -> tuple[bytes, ...]:
        """The secrets of WEBHOOK_KEYS in order; empty if it is not set. Raises ValueError."""
        return tuple(_keys_by_id("WEBHOOK_KEYS", self.webhook_keys).values())

    @property
    def shop_ids_suffice(self) -> bool:
        """TRUST_SHOP_IDS, or its default for the environment."""
        return self.environment == "local" if self.trust_shop_ids is None else self.trust_shop_ids

    def require(self, name: str) -> str:
        """Return the value of a setting without a default. Raises MissingSetting, with its name, if it is not set."""
        value = getattr(self, name)
        if value is None:
            raise MissingSetting(
                f"Set the environment variable {name.upper()}: {type(self).model_fields[name].description}."
            )
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def read(environ: Mapping[str, str]) -> Settings:
    """Read the settings from ``environ``; an empty variable counts as not set.

    An invalid telemetry setting turns telemetry off and is logged, so that no request fails because of it. Raises
    MissingSetting, with the variable's name and the reason, if any other value is invalid.
    """
    values = {name: environ[name.upper()] for name in Settings.model_fields if environ.get(name.upper())}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        invalid = field_errors(error)
        if of_telemetry := [field for field in invalid if field["field"].startswith(TELEMETRY)]:
            name, reason = of_telemetry[0]["field"].upper(), of_telemetry[0]["message"]
            reason = f"The environment variable {name} is not valid: {reason}."
            log.error("telemetry is off", extra={"reason": reason})
            return read({name: value for name, value in environ.items() if not name.lower().startswith(TELEMETRY)})
        first = invalid[0]
        # an error over several settings has no field; its message begins with the setting's name
        name, reason = first["field"].partition(".")[0].upper(), first["message"]
        if not name:
            name, _, reason = reason.partition(": ")
        raise MissingSetting(f"The environment variable {name} is not valid: {reason}.") from None


@cache
def settings() -> Settings:
    """Return the settings of this process."""
    return read(os.environ)
