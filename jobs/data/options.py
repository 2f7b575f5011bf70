"""The options that describe a file, shared by ``load_events``, ``import_catalog`` and ``./aisle evaluate``."""

from pydantic import Field

from jobs.data.event_rows import EventRules
from shared.clients import sources
from shared.domain.events import EventType
from shared.job import Parameters
from shared.tables.csv_files import TextOptions, text_options
from shared.tables.times import TimestampUnit, parse_zone
from shared.tables.values import parse_event_types


class TableParameters(Parameters):
    """A file and how it is written. Omitted options are detected in the file."""

    source: str = Field(
        min_length=1, max_length=2000, description="gs://, s3://, https://; locally also a file's absolute path"
    )
    format: sources.Format | None = Field(None, description="csv, jsonl or parquet; by default by the name's ending")
    columns: str | None = Field(
        None,
        max_length=5000,
        description="FIELD:COLUMN pairs, as in external_id:Handle,name:Title, for columns without a usual name",
    )
    separator: str | None = Field(None, max_length=10, description="separator of a CSV's cells: a character, or tab")
    encoding: str | None = Field(None, max_length=50, description="of a text file, such as windows-1252")
    decimal: str | None = Field(None, max_length=1, description="decimal mark of a CSV's numbers: . or ,")

    def text_options(self) -> TextOptions:
        """Return the options of a text file. Raises InvalidRequest."""
        return text_options(self.separator, self.encoding, self.decimal)


class HistoryParameters(TableParameters):
    """A file of events and how it is written."""

    timestamp_unit: TimestampUnit = Field(
        "auto",
        description="iso: ISO 8601; s, ms, us: (milli-, micro-)seconds since 1970; auto: each time by its form",
    )
    timezone: str | None = Field(
        None, max_length=100, description="of times that name none, such as Europe/Berlin or +01:00; by default UTC"
    )
    event_types: str | None = Field(
        None, max_length=5000, description="NAME:TYPE pairs, as in kauf:purchase, for types without a usual name"
    )
    event_type: EventType | None = Field(None, description="of every row of a file without a column of event types")

    def rules(self) -> EventRules:
        """Return the rules for the rows. Raises InvalidRequest."""
        return EventRules(
            self.timestamp_unit, parse_zone(self.timezone), parse_event_types(self.event_types), self.event_type
        )

    def fixed(self) -> set[str]:
        """Return the columns that an option gives for all rows."""
        return {"event_type"} if self.event_type is not None else set()
