"""Request and response models of the admin function."""

from datetime import date as Date  # noqa: N812 — a field is called `date`, which would hide the type
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.domain.events import ExternalId, ProductId, Text, ZonedTime, printable
from shared.domain.feeds import feed_url, secret_name
from shared.domain.patches import without_defaults
from shared.domain.product import Product
from shared.domain.rules import Kind
from shared.domain.shop import CURRENCIES, UnknownProducts
from shared.domain.text import nfc
from shared.errors import InvalidRequest
from shared.http import Page, PageQuery, Query
from shared.manifest import manifest
from shared.tables.csv_files import text_options
from shared.tables.presets import parse_reading

# dashboard


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


class JobRun(BaseModel):
    """A run of a job."""

    id: int = Field(description="Id of the run.")
    job: str = Field(description="Name of the job.")
    started_at: datetime = Field(description="When it started.")
    ended_at: datetime | None = Field(description="When it ended; null while it runs.")
    outcome: str = Field(description="`running`, `succeeded` or `failed`.")
    details: dict[str, Any] = Field(description="Its result, or the error.")


class ModelVersion(BaseModel):
    """A version of the recommendation model."""

    version: int = Field(description="Number of the version.")
    algorithm: str = Field(description="Algorithm.")
    parameters: dict[str, Any] = Field(description="Parameters of the algorithm.")
    metrics: dict[str, Any] = Field(description="Metrics of its evaluation, and of the version before.")
    active: bool = Field(description="Whether it serves.")
    published_at: datetime = Field(description="When it was published.")
    stored: bool = Field(description="Whether it is still stored and can be activated.")


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

    events_by_day: list[DailyEventCount] = Field(description="The last 30 days, today live.")
    top_trending: list[TrendingEntry] = Field(description="The first ten products of each window.")
    recommendations: list[RecommendationMetrics] = Field(description="Reactions to recommendations.")
    api_stats: ApiStatistics = Field(description="How the API performs.")
    total_events: int = Field(description="Number of events.")
    total_users: int = Field(description="Number of users.")
    total_products: int = Field(description="Number of active products.")
    active_model: ModelVersion | None = Field(description="The model version that serves; null if there is none.")
    jobs: list[JobRun] = Field(description="The last run of each job.")
    rejected_events: int = Field(description="Number of rejected events.")
    unsent_messages: int = Field(description="Messages in the outbox that Pub/Sub does not have yet.")


# cache


class CacheFlush(BaseModel):
    """Result of a flush."""

    message: str = Field(description="What was flushed.")


# models


class ModelVersionList(BaseModel):
    """Model versions, newest first."""

    models: list[ModelVersion] = Field(description="The versions.")


class ModelActivation(BaseModel):
    """A change of the model version that serves."""

    version: int = Field(description="The version that serves now.")
    previous: int | None = Field(description="The version that served before; null if there was none.")


# training runs


class TrainingRunsQuery(PageQuery):
    """A page of training runs."""

    job: Literal["similarity", "evaluation"] | None = Field(None, description="Only runs of this job.")


class TrainingRun(BaseModel):
    """A run of training or evaluation."""

    id: int = Field(description="Id of the run.")
    job: str = Field(description="Name of the job.")
    started_at: datetime = Field(description="When it started.")
    ended_at: datetime = Field(description="When it ended.")
    outcome: str = Field(description="How it ended.")
    version: int | None = Field(description="The model version it published; null if none.")
    details: dict[str, Any] = Field(description="Its figures and reasons; `drift`: how the shop has moved.")
    report: str | None = Field(description="Path of its report; null if it left none.")


class TrainingRunPage(Page):
    """A page of training runs, newest first."""

    runs: list[TrainingRun] = Field(description="The runs of this page.")


# jobs


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


# audit log


class AuditLogQuery(PageQuery):
    """Parameters of the audit log."""

    security: bool | None = Field(
        None,
        description="`true` returns only log-ins, failed log-ins, reused refresh tokens, and changes of passwords, "
        "emails and roles; `false` returns all other entries. If omitted, all entries.",
    )


class AuditLogEntry(BaseModel):
    """A change by staff or a script, or a security event."""

    id: int = Field(description="Id of the entry.")
    at: datetime = Field(description="When it was made.")
    actor: str = Field(
        description="Id of the account, `admin-token`, `command-line`, `anonymous`, or `erased` for an erased account."
    )
    action: str = Field(description="What was done, such as `rule.add` or `login.failure`.")
    subject: str = Field(description="What it was done to; `user:` and the id of a user, or `erased`.")
    before: dict[str, Any] | None = Field(description="The state before; null if it does not apply.")
    after: dict[str, Any] | None = Field(description="The state after; null if it does not apply.")
    request_id: str | None = Field(description="Id of the request.")


class AuditLogPage(Page):
    """A page of the audit log, newest first."""

    entries: list[AuditLogEntry] = Field(description="The entries of this page.")


# rejected events and dead letters


class RejectedEvent(BaseModel):
    """An event or message that can never be processed."""

    id: int = Field(description="Id of the entry.")
    message_id: str = Field(description="Id of the message.")
    position: int = Field(description="Position of the event in the message, from 0; -1 for the message itself.")
    event: Any = Field(description="The event as it was received.")
    reason: str = Field(description="Why it was rejected.")
    rejected_at: datetime = Field(description="When it was rejected.")


class RejectedEventPage(Page):
    """A page of rejected events, newest first."""

    entries: list[RejectedEvent] = Field(description="The events of this page.")


def topic_name(name: str) -> str:
    """Return the name of a topic of functions.yaml; raise ValueError for any other."""
    if name not in manifest().topics:
        raise ValueError(f"there is no topic {name[:100]!r}; topics: {', '.join(manifest().topics)}")
    return name


Topic = Annotated[str, AfterValidator(topic_name), Field(description="Name of a topic of functions.yaml.")]


class DeadLetterQuery(Query):
    """Which dead letters to list."""

    topic: Topic | None = Field(None, description="Only dead letters of this topic of functions.yaml.")
    limit: Annotated[int, Field(ge=1, le=100, description="Maximum number of dead letters of each topic.")] = 50


class DeadLetter(BaseModel):
    """A message that a subscriber failed to process in every attempt."""

    topic: str = Field(description="Topic of the message.")
    message_id: str = Field(description="Id of the message.")
    subscription: str | None = Field(description="The subscription that gave up; null if unknown.")
    attempts: int | None = Field(description="Number of attempts; null if unknown.")
    published_at: str = Field(description="When the message was published.")
    attributes: dict[str, str] = Field(description="Attributes of the message.")
    data: str = Field(description="Body of the message as text, as base64 if it is not UTF-8.")


class DeadLetterList(BaseModel):
    """Waiting dead letters."""

    dead_letters: list[DeadLetter] = Field(description="The dead letters.")


class ReplayRequest(BaseModel):
    """Which dead letters of a topic to publish again."""

    model_config = ConfigDict(extra="forbid")

    topic: Topic
    limit: int = Field(100, ge=1, le=1000, description="Maximum number of dead letters to look at.")
    message_ids: list[Text] | None = Field(
        None, min_length=1, max_length=1000, description="Ids of the messages. If omitted, all up to `limit`."
    )


class ReplayResult(BaseModel):
    """Result of a replay."""

    topic: str = Field(description="The topic.")
    replayed: list[str] = Field(description="Ids of the messages that were published again.")
    left: int = Field(description="Number of dead letters that were seen and left waiting.")


# doctor


class DoctorFinding(BaseModel):
    """Result of one check."""

    check: str = Field(description="Name of the check.")
    verdict: str = Field(description="`well`, `warning`, `failed` or `skipped`.")
    detail: str = Field(description="What was found, and how to fix it.")


class DoctorReport(BaseModel):
    """Result of all checks."""

    healthy: bool = Field(description="Whether no check failed.")
    findings: list[DoctorFinding] = Field(description="The results.")


# accounts


class AccountsQuery(PageQuery):
    """Which accounts to list."""

    email: Annotated[Text, StringConstraints(min_length=3, max_length=320)] | None = Field(
        None, description="Only the account with this email."
    )
    role: Literal["user", "support", "admin"] | None = Field(None, description="Only accounts with this role.")


class Account(BaseModel):
    """An account, as staff see it."""

    user_id: str = Field(description="Id of the user.")
    username: str | None = Field(description="Name of the account.")
    email: str | None = Field(description="Email of the account.")
    role: str = Field(description="`user`, `support` or `admin`.")
    city: str | None = Field(description="City; null if not set.")
    registered_at: datetime | None = Field(description="When it was registered.")
    email_verified: bool = Field(description="Whether the owner of the address has confirmed it.")


class AccountPage(Page):
    """A page of accounts, newest first."""

    users: list[Account] = Field(description="The accounts of this page.")


class RoleAssignment(BaseModel):
    """The role to assign to an account. docs/accounts.md lists the permissions of each role."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "support", "admin"] = Field(description="The new role.")
    email: Annotated[str, StringConstraints(min_length=1, max_length=320), AfterValidator(printable)] | None = Field(
        None,
        description="The account's email as you saw it: 409 if it is another one by now. Its holder can change it at "
        "any time, and the link of a promotion goes to the one that it has.",
    )


class RoleChange(BaseModel):
    """A change of an account's role."""

    user_id: str = Field(description="Id of the user.")
    role: str = Field(description="The role now.")
    previous: str = Field(description="The role before.")
    registered_at: datetime = Field(description="Since when the account exists.")
    email_verified: bool = Field(description="Whether the owner of the account's address has confirmed it.")
    link: str | None = Field(
        description="After a promotion in a deployment without mail, the link that sets the account's password, once "
        "and within an hour: hand it to the account's owner. Otherwise null."
    )
    mailed: bool = Field(description="Whether such a link is mailed to the account's address.")


# rules

Name = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(printable), nfc(255)]
Price = Annotated[float, Field(ge=0, le=9_999_999_999, allow_inf_nan=False)]
# lowest and highest factor of each kind that has one, and its default
FACTORS: Final = {"boost": (1.0, 100.0, 2.0), "bury": (0.01, 1.0, 0.5)}


class RuleWrite(BaseModel):
    """A rule for recommendations: an effect, the products it applies to, and a period."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind = Field(
        description="`pin` shows a product at a position, `boost` and `bury` multiply scores, `exclude` hides products."
    )
    product_id: ProductId | None = Field(None, description="Applies to this product.")
    external_id: ExternalId | None = Field(None, description="The shop's own id of that product, instead.")
    category_id: ProductId | None = Field(
        None, description="Applies to products of the category with this id and its subcategories."
    )
    brand: Name | None = Field(None, description="Applies to products of this brand.")
    tag: Name | None = Field(None, description="Applies to products with this tag.")
    price_min: Price | None = Field(None, description="Applies to products that cost at least this much.")
    price_max: Price | None = Field(None, description="Applies to products that cost at most this much.")
    segment_id: ProductId | None = Field(
        None, description="Applies to users of the segment with this id only; null for all users."
    )
    factor: float | None = Field(
        None,
        ge=0.01,
        le=100,
        allow_inf_nan=False,
        description="Multiplies scores: above 1 for `boost` (2 if omitted), below 1 for `bury` (0.5 if omitted).",
    )
    position: int | None = Field(None, ge=1, le=100, description="Position of a pinned product, from 1.")
    starts_at: ZonedTime | None = Field(None, description="Start of the period; null for at once.")
    ends_at: ZonedTime | None = Field(None, description="End of the period; null for never.")
    active: bool = Field(True, description="`false` suspends the rule.")
    note: Annotated[str, StringConstraints(max_length=500), AfterValidator(printable)] = Field(
        "", description="Text that is shown as the reason where recommendations are explained."
    )

    @model_validator(mode="after")
    def consistent(self) -> Self:
        """Require what the kind needs, refuse what it does not use, and set the default factor."""
        product = self.external_id if self.product_id is None else self.product_id
        selectors = (product, self.category_id, self.brand, self.tag, self.price_min, self.price_max)
        if all(selector is None for selector in selectors):
            raise ValueError("A rule needs product_id, external_id, category_id, brand, tag, price_min or price_max.")
        if self.kind == "pin" and (product is None or any(value is not None for value in selectors[1:])):
            raise ValueError("a pin selects one product, by product_id or external_id alone")
        if self.kind == "pin" and self.position is None:
            self.position = 1
        if self.kind != "pin" and self.position is not None:
            raise ValueError("position is for pin only; leave it out")
        if self.kind in FACTORS:
            low, high, default = FACTORS[self.kind]
            if self.factor is None:
                self.factor = default
            if not low <= self.factor <= high or self.factor == 1:
                raise ValueError(f"the factor of a {self.kind} must be from {low:g} to {high:g}, and not 1")
        elif self.factor is not None:
            raise ValueError("factor is for boost and bury only; leave it out")
        if self.price_min is not None and self.price_max is not None and self.price_min > self.price_max:
            raise ValueError("price_min must not be greater than price_max")
        if self.starts_at is not None and self.ends_at is not None and self.starts_at >= self.ends_at:
            raise ValueError("ends_at must be after starts_at")
        return self


class Rule(RuleWrite):
    """A stored rule."""

    id: int = Field(description="Id of the rule.")
    in_force: bool = Field(description="Whether it is active and now is within its period.")
    created_at: datetime = Field(description="When it was created.")
    updated_at: datetime = Field(description="When it last changed.")


class RuleList(BaseModel):
    """All rules, oldest first."""

    rules: list[Rule] = Field(description="The rules.")


def _rule_without_required_fields(schema: dict[str, Any]) -> None:
    schema.update(RuleWrite.model_json_schema() | {"title": "RulePatch", "required": []})
    without_defaults(schema)
    schema["description"] = "The fields of a rule to change. Omitted fields stay as they are; null clears a field."


class RulePatch(BaseModel):
    """The fields of a rule to change. They are validated with the stored rule's other fields."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_rule_without_required_fields)


# segments


class SegmentCategory(BaseModel):
    """A category that the members of a segment like."""

    id: int = Field(description="Id of the category.")
    name: str = Field(description="Name of the category.")
    share: float = Field(description="Mean share of the category in the members' taste, from 0 to 1.")


class SegmentProfile(BaseModel):
    """What the members of a segment have in common."""

    recency_days: float = Field(description="Median number of days since a member's last event.")
    purchase_days: float = Field(description="Mean number of days on which a member bought something.")
    spent: float = Field(description="Mean sum that a member spent.")
    buyers: float = Field(description="Share of the members who bought something, from 0 to 1.")
    categories: list[SegmentCategory] = Field(description="Up to 5 categories, the greatest share first.")


class SegmentValue(BaseModel):
    """What the members of a segment bought."""

    days: int = Field(description="Number of days before the run that are counted.")
    purchases: int = Field(description="Number of purchases that count; cancelled and refunded orders do not.")
    revenue: float = Field(description="Their sum, at the price of the order or, without an order, of the product.")


class SegmentMovement(BaseModel):
    """How the members of a segment changed since the run before."""

    joined: int = Field(description="Members who were not members before.")
    left: int = Field(description="Earlier members who no longer are.")


class Segment(BaseModel):
    """A group of users who behave alike."""

    id: int = Field(description="Id of the segment; it stays the same while most members stay.")
    name: str = Field(description="What sets the segment apart; it may change with its members.")
    size: int = Field(description="Number of members.")
    value: SegmentValue = Field(description="What the members bought.")
    movement: SegmentMovement = Field(description="Members who joined and left.")
    profile: SegmentProfile = Field(description="What the members have in common.")
    created_at: datetime = Field(description="When the segment was first found.")
    computed_at: datetime = Field(description="Time of the run whose figures these are.")
    ended_at: datetime | None = Field(description="Since when there are no such users; null for a current segment.")


class SegmentList(BaseModel):
    """The segments, the largest first, ended ones last."""

    segments: list[Segment] = Field(description="The segments; one that ended is listed for 90 days.")


# API keys


class ApiKeyCreation(BaseModel):
    """An API key to make."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["publishable", "secret"] = Field(
        description="`publishable` for pages and apps, `secret` for the shop's servers."
    )
    name: Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(printable)] = Field(
        description="What the key is for."
    )


class ApiKey(BaseModel):
    """An API key without its text."""

    id: str = Field(description="Id of the key: its second part.")
    kind: Literal["publishable", "secret"] = Field(
        description="`publishable` for pages and apps, `secret` for the shop's servers."
    )
    name: str = Field(description="What the key is for.")
    created_by: str = Field(description="Who made it.")
    created_at: datetime = Field(description="When it was made.")
    revoked_at: datetime | None = Field(description="When it was revoked; null while it is valid.")


class NewApiKey(ApiKey):
    """A new API key with its text."""

    key: str = Field(description="The key itself: `pk_…` or `sk_…`. It is shown only here.")


class ApiKeyList(BaseModel):
    """All API keys, oldest first."""

    api_keys: list[ApiKey] = Field(description="The keys.")


# imports and scheduled feeds


class ImportsQuery(Query):
    """How many imports to list."""

    limit: Annotated[int, Field(ge=1, le=1000, description="Maximum number of imports.")] = 50


class CatalogImport(BaseModel):
    """An import of a catalog."""

    id: int = Field(description="Id of the import.")
    kind: Literal["post", "job", "feed"] = Field(
        description="`POST /products/import`, the job import_catalog, or a feed."
    )
    feed_id: int | None = Field(description="Id of the feed, if it is one of a feed that exists.")
    source: str = Field(description="Where the rows came from, without credentials.")
    state: Literal["running", "succeeded", "failed"] = Field(description="How it stands.")
    rows_read: int = Field(description="Number of rows read so far.")
    rows_written: int = Field(description="Number of products created or changed so far.")
    rows_refused: int = Field(description="Number of rows refused so far.")
    started_at: datetime = Field(description="When it started.")
    updated_at: datetime = Field(description="When it last reported progress.")
    ended_at: datetime | None = Field(description="When it ended; null while it runs.")


class ImportList(BaseModel):
    """The last imports, latest first."""

    imports: list[CatalogImport] = Field(description="The imports.")


class ImportWithReport(CatalogImport):
    """An import with its report."""

    report: dict[str, Any] | None = Field(description="What became of the rows; null while it runs.")


def _short(most: int) -> Any:
    return StringConstraints(min_length=1, max_length=most, strip_whitespace=True)


class FeedWrite(BaseModel):
    """A catalog feed that is fetched regularly."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Text, _short(100)] = Field(description="Name for staff.")
    url: Annotated[str, _short(2000), AfterValidator(printable), AfterValidator(feed_url)] = Field(
        description="Address of the file: https://, gs:// or s3://, without credentials."
    )
    preset: Annotated[Text, _short(20)] | None = Field(None, description="Whose export it is; detected if omitted.")
    columns: Annotated[Text, _short(5000)] | None = Field(None, description="FIELD:COLUMN pairs, as for an import.")
    separator: Annotated[Text, _short(10)] | None = Field(None, description="Separator of a CSV.")
    encoding: Annotated[Text, _short(50)] | None = Field(None, description="Text encoding.")
    decimal: Literal[".", ","] | None = Field(None, description="Decimal mark of a CSV's numbers.")
    format: Literal["csv", "jsonl", "xml", "parquet"] | None = Field(
        None, description="Format; by default by the address's ending, then by the file's first bytes."
    )
    every_minutes: int = Field(1440, ge=15, le=10_080, description="Minutes between two runs.")
    credentials: Annotated[str, AfterValidator(secret_name)] | None = Field(
        None,
        description="Name of a secret of Secret Manager that begins with `aisle-feed-`. It holds `user:password`, "
        "`Bearer TOKEN` or `?name=value`.",
    )
    max_gone_share: float = Field(
        0.2, ge=0, le=1, description="No product is hidden if a larger share of the feed's products is missing."
    )
    is_active: bool = Field(True, description="`false` pauses the feed.")

    @model_validator(mode="after")
    def readable(self) -> "FeedWrite":
        """Refuse options of reading that no file could fit."""
        try:
            parse_reading(self.preset, self.columns)
            text_options(self.separator, self.encoding, self.decimal)
        except InvalidRequest as error:
            raise ValueError(error.detail) from None
        return self


class CatalogFeed(FeedWrite):
    """A stored feed."""

    id: int = Field(description="Id of the feed.")
    next_run_at: datetime = Field(description="When it is due next; the job import_feeds runs every 15 minutes.")
    last_run_at: datetime | None = Field(description="When it ran last.")
    last_outcome: Literal["imported", "unchanged", "failed"] | None = Field(description="How the last run ended.")
    last_detail: str | None = Field(description="The last run in a sentence.")
    last_import_id: int | None = Field(description="Id of its last import, whose report `GET /admin/imports` has.")
    created_at: datetime = Field(description="When it was created.")
    updated_at: datetime = Field(description="When its settings last changed.")


class FeedList(BaseModel):
    """All feeds, oldest first."""

    feeds: list[CatalogFeed] = Field(description="The feeds.")


def _feed_without_required_fields(schema: dict[str, Any]) -> None:
    schema.update(FeedWrite.model_json_schema() | {"title": "FeedPatch", "required": []})
    without_defaults(schema)
    schema["description"] = "The fields of a feed to change. Omitted fields stay as they are; null clears a field."


class FeedPatch(BaseModel):
    """The fields of a feed to change. They are validated with the stored feed's other fields."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_feed_without_required_fields)


# the shop


def known_currency(value: str) -> str:
    """Return an ISO 4217 code; raise ValueError for any other text."""
    if value not in CURRENCIES:
        raise ValueError("must be an ISO 4217 code in capital letters, such as EUR")
    return value


ShopName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(printable), nfc(200)]
Zone = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(printable)]
Currency = Annotated[str, StringConstraints(max_length=3), AfterValidator(known_currency)]
Language = Annotated[str, StringConstraints(pattern="^[a-z_]{1,63}$")]


class Shop(BaseModel):
    """The shop's own settings."""

    name: str = Field(description="Name of the shop; empty until it is set.")
    currency: str | None = Field(description="ISO 4217 code of the currency of all prices; null until it is set.")
    currency_decimals: int = Field(description="Decimals of that currency by ISO 4217; 2 until it is set.")
    time_zone: str = Field(description="IANA time zone in which days begin, in statistics and reports.")
    search_language: str | None = Field(
        description="Language whose stems and stop words the search uses; null compares words as they are (`simple`)."
    )
    unknown_products: UnknownProducts = Field(
        description="What happens to an event of an unknown product: `reject` keeps it among the rejected events, "
        "`stub` creates an inactive product to be completed."
    )
    search_languages: list[str] = Field(description="Values that `search_language` accepts.")
    is_indexing: bool = Field(
        description="Whether a change of `search_language` is indexing products; until then, search asks in both."
    )


class ShopPatch(BaseModel):
    """The settings to change. Omitted fields stay as they are; null clears an optional field."""

    # The values stand for omitted fields in Python alone; only model_fields_set is written.
    model_config = ConfigDict(extra="forbid", json_schema_extra=without_defaults)

    name: ShopName = Field("", description="Name of the shop.")
    currency: Currency | None = Field(None, description="ISO 4217 code of the currency of all prices.")
    time_zone: Zone = Field("UTC", description="IANA time zone in which days begin.")
    search_language: Language | None = Field(
        None, description="One of `search_languages`. A change re-indexes all products while search keeps working."
    )
    unknown_products: UnknownProducts = Field("reject", description="What happens to an event of an unknown product.")


# searches and synonyms


class SearchesQuery(PageQuery):
    """A page of searches."""

    days: Annotated[int, Field(ge=1, le=400, description="Searches of so many days, today included.")] = 30
    results: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = Field(
        None, description="Only texts whose last search found this many products; 0 for what the shop does not have."
    )


class CountedSearch(BaseModel):
    """A text that shoppers searched for."""

    query: str = Field(description="The text, in lower case.")
    searches: int = Field(description="How often it was searched for. One client counts once a day.")
    results: int | None = Field(description="Products that the last search found; null if it is not known.")
    last_at: datetime = Field(description="When it last counted.")


class SearchPage(Page):
    """A page of searches, the most frequent first."""

    searches: list[CountedSearch] = Field(description="The searches of this page.")


Term = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(printable), nfc(100)
]


class SynonymWrite(BaseModel):
    """A synonym to create."""

    model_config = ConfigDict(extra="forbid")

    term: Term = Field(description="One to five words that shoppers search for.")
    meant: Term = Field(description="Words that are searched for as well.")
    two_way: bool = Field(True, strict=True, description="Whether a search for `meant` also finds `term`.")


class Synonym(SynonymWrite):
    """A stored synonym."""

    id: int = Field(description="Id of the synonym.")
    created_at: datetime = Field(description="When it was created.")


class SynonymList(BaseModel):
    """All synonyms, by term."""

    synonyms: list[Synonym] = Field(description="The synonyms.")
