"""Request and response models of scheduled feeds."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.domain.events import Text, printable
from shared.domain.feeds import MEDUSA, feed_url, secret_name
from shared.domain.patches import all_optional
from shared.errors import InvalidRequest
from shared.tables.csv_files import text_options
from shared.tables.presets import parse_reading


def _short(most: int) -> Any:
    return StringConstraints(min_length=1, max_length=most, strip_whitespace=True)


class FeedWrite(BaseModel):
    """A catalog feed that is fetched regularly."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Text, _short(100)] = Field(description="Name for staff.")
    url: Annotated[str, _short(2000), AfterValidator(printable), AfterValidator(feed_url)] = Field(
        description="Address of the file: https://, gs:// or s3://, without credentials."
    )
    preset: Annotated[Text, _short(20)] | None = Field(
        None, description="System that exports the file; detected if omitted. `medusa` pulls a Medusa server's API."
    )
    columns: Annotated[Text, _short(5000)] | None = Field(None, description="FIELD:COLUMN pairs, as for an import.")
    separator: Annotated[Text, _short(10)] | None = Field(None, description="Separator of a CSV file.")
    encoding: Annotated[Text, _short(50)] | None = Field(None, description="Text encoding.")
    decimal: Literal[".", ","] | None = Field(None, description="Decimal mark of the numbers in a CSV file.")
    format: Literal["csv", "jsonl", "xml", "parquet"] | None = Field(
        None,
        description="Format; if omitted, detected from the ending of the address, then from the first bytes of the "
        "file.",
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
        """Refuse options of reading that no file could fit, and any of them for what is no file."""
        if self.preset == MEDUSA:
            self._is_pulled()
            return self
        try:
            parse_reading(self.preset, self.columns)
            text_options(self.separator, self.encoding, self.decimal)
        except InvalidRequest as error:
            raise ValueError(error.detail) from None
        return self

    def _is_pulled(self) -> None:
        options = ("columns", "separator", "encoding", "decimal", "format")
        if (given := next((name for name in options if getattr(self, name) is not None), None)) is not None:
            raise ValueError(f"{given} is for files, and preset {MEDUSA} reads Medusa's API; leave it out")
        if not self.url.startswith(("https://", "http://")):
            raise ValueError(f"url of the preset {MEDUSA} is the address of the Medusa server, with https://")
        if self.credentials is None:
            raise ValueError(f"credentials of the preset {MEDUSA} name a secret that holds a secret API key of Medusa")


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


class FeedPatch(BaseModel):
    """The fields of a feed to change. They are validated with the stored feed's other fields."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra=all_optional(
            FeedWrite,
            "FeedPatch",
            "The fields of a feed to change. Omitted fields stay as they are; null clears a field.",
        ),
    )
