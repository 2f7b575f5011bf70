"""Job, on demand: load a history of events (CSV, JSON lines or Parquet) into a new or a running shop."""

from datetime import date
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
from pydantic import Field

from jobs.data import event_files, event_rows
from jobs.data.copy_rows import streams
from jobs.data.options import TableParameters
from shared.clients import sources
from shared.clients.postgres import transaction
from shared.domain.events import EventType
from shared.errors import InvalidRequest
from shared.job import job, progress
from shared.storage.answers import invalidation
from shared.storage.events import bulk_loading, rejected
from shared.storage.operations import daily_stats
from shared.tables.columns import EVENT_COLUMNS, Columns, parse_columns
from shared.tables.reports import LeftOut
from shared.tables.times import TimestampUnit, parse_zone
from shared.tables.values import parse_event_types


class LoadEvents(TableParameters):
    """Where the history is, and how it is written.

    Columns: user_id, event_type, timestamp, product_id or external_id (or another usual name), and optionally
    session_id, quantity, metadata (a JSON object), event_id.
    """

    format: Literal["csv", "jsonl", "parquet"] | None = Field(
        None, description="csv, jsonl or parquet; by default, from the file name's extension"
    )
    timestamp_unit: TimestampUnit = Field(
        "auto",
        description="iso: ISO 8601; s, ms, us: (milli-, micro-)seconds since 1970; auto: detected for each time",
    )
    timezone: str | None = Field(
        None,
        max_length=100,
        description="time zone of times without one, such as Europe/Berlin or +01:00; by default UTC",
    )
    event_types: str | None = Field(
        None, max_length=5000, description="NAME:TYPE pairs, as in kauf:purchase, for types without a usual name"
    )
    event_type: EventType | None = Field(None, description="event type of all rows, if the file has no such column")
    chunk_rows: int = Field(250_000, ge=1, le=2_000_000, description="rows per chunk; each chunk is one transaction")
    keep_rejected: int = Field(
        1000, ge=0, le=100_000, description="maximum number of bad rows to store in rejected_events"
    )

    def rules(self) -> event_rows.EventRules:
        """Return the rules for the rows. Raises InvalidRequest."""
        return event_rows.EventRules(
            self.timestamp_unit, parse_zone(self.timezone), parse_event_types(self.event_types), self.event_type
        )

    def fixed(self) -> set[str]:
        """Return the columns whose value an option gives for all rows."""
        return {"event_type"} if self.event_type is not None else set()


class _Rejections:
    """Bad rows: counted by reason, and stored in ``rejected_events`` up to a limit."""

    def __init__(self, source: str, keep: int) -> None:
        self.left_out = LeftOut()
        self._message_id, self._left = f"load_events {source}", keep

    def add(self, rows: list[tuple[int, str]], chunk: event_files.Chunk) -> None:
        for number, reason in rows:
            self.left_out.add(number, reason)
        kept = sorted(rows)[: self._left]
        self._left -= len(kept)
        if kept:
            where = pd.Series(range(len(chunk.numbers)), index=chunk.numbers)
            rejected.add(
                self._message_id, [(number, self._row(chunk, where, number), reason) for number, reason in kept]
            )

    @staticmethod
    def _row(chunk: event_files.Chunk, where: "pd.Series[int]", number: int) -> dict[str, Any]:
        if number not in where:
            return {}
        cells = chunk.rows.iloc[int(where[number])].dropna()
        return {str(name): str(value)[:1000] for name, value in cells.items()}


@job
def load_events(parameters: LoadEvents) -> dict[str, Any]:
    """Store a history's events and fold the new ones into counts, purchases and preferences, each event once.

    The id of an event without ``event_id`` is derived from all values of its row, so loading a file again adds nothing.
    Bad rows are counted by reason and left out. Each chunk is a transaction: an interrupted load can be repeated.
    Raises InvalidRequest, with the reasons, if no row can be used.
    """
    rules, options = parameters.rules(), parameters.text_options()
    columns = Columns(EVENT_COLUMNS, parse_columns(parameters.columns, EVENT_COLUMNS))
    bad = _Rejections(parameters.source, parameters.keep_rejected)
    counts = dict.fromkeys(("rows", "stored", "known", "rejected"), 0)
    dates: set[date] = set()
    zoneless: list[int] = []
    zoneless_rows = 0
    with sources.opened(parameters.source) as file:
        form = sources.format_of(parameters.source, parameters.format)
        if form == "xml":
            raise InvalidRequest("format: a history is CSV, JSON lines or Parquet; XML is read by import_catalog only.")
        history = event_files.open_events(
            file, form, parameters.chunk_rows, columns=columns, options=options, fixed=parameters.fixed()
        )
        for chunk in history.chunks:
            checked = event_rows.check(chunk.rows, chunk.numbers, rules)
            events = checked.events
            zoneless += checked.zoneless[: 1 - len(zoneless)].tolist()
            zoneless_rows += len(checked.zoneless)
            with transaction(statement_timeout_s=0) as connection:
                loaded = bulk_loading.append(
                    connection, streams({str(name): pa.array(events[name]) for name in events}) if len(events) else ()
                )
            wrong = chunk.broken + checked.rejected
            wrong += [(number, f"unknown product: {product}") for number, product in loaded.unknown_products]
            wrong += loaded.faults
            bad.add(wrong, chunk)
            # days of all rows, not only of new ones: an interrupted load may not have counted the days it stored
            dates.update(events["occurred_at"].dt.date.unique())
            counts["rows"] += len(chunk)
            counts["stored"] += loaded.stored
            counts["known"] += loaded.known
            counts["rejected"] += len(wrong)
            progress("history rows loaded", counts=dict(counts))
    used = counts["stored"] + counts["known"]
    report: dict[str, Any] = {
        "source": parameters.source,
        **counts,
        "used": used,
        "rejections": bad.left_out.summary(),
        "ignored_columns": sorted(history.ignored),
        "read_as": history.read_as,
    }
    if zoneless:
        report["times_without_zone"] = {
            "rows": zoneless_rows,
            "first_row": zoneless[0],
            "read_in": parameters.timezone or "UTC",
        }
    if not used:
        reasons = bad.left_out.sentence() or "the file has no rows"
        raise InvalidRequest(f"No event of {counts['rows']} rows could be used: {reasons}.", **report)
    with transaction(statement_timeout_s=0) as connection:
        daily_stats.refresh(connection, sorted(dates))
        bulk_loading.analyze(connection)
    invalidation.flush()
    return report
