"""Job, on demand: load a history of events (CSV, JSON lines or Parquet) into a new or a running shop."""

from collections import Counter
from datetime import date
from typing import Any, Final

import pandas as pd
import pyarrow as pa
from pydantic import Field

from jobs.data import event_files, event_rows
from jobs.data.copy_rows import streams
from shared.clients import sources
from shared.clients.postgres import transaction
from shared.job import Parameters, job, progress
from shared.storage.answers import invalidation
from shared.storage.events import bulk_loading, rejected

EXAMPLES: Final = 5


class LoadEvents(Parameters):
    """Where the history is, and how its times are written.

    Columns: user_id, event_type, timestamp, product_id or external_id (also called item_id), and as wanted session_id,
    quantity, metadata (a JSON object), event_id.
    """

    source: str = Field(
        min_length=1, max_length=2000, description="gs://, s3://, https://; locally a file's absolute path too"
    )
    format: sources.Format | None = Field(None, description="csv, jsonl or parquet; by default by the name's ending")
    timestamp_unit: event_rows.TimestampUnit = Field(
        "iso", description="iso: ISO 8601 with a zone; s or ms: since 1970"
    )
    chunk_rows: int = Field(250_000, ge=1, le=2_000_000, description="rows in memory and in a transaction at once")
    keep_rejected: int = Field(1000, ge=0, le=100_000, description="how many bad rows are kept in rejected_events")


class _Rejections:
    """Bad rows: counted by reason, with examples, and kept up to a limit."""

    def __init__(self, source: str, keep: int) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[int]] = {}
        self._message_id, self._left = f"load_events {source}", keep

    def add(self, rows: list[tuple[int, str]], chunk: event_files.Chunk) -> None:
        for number, reason in rows:
            # a reason that names a value is one of its kind
            kind = reason.split(":")[0]
            self.counts[kind] += 1
            if self.counts[kind] <= EXAMPLES:
                self.examples.setdefault(kind, []).append(number)
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
        # text as jsonb can hold it
        return {
            str(name): str(value)[:1000].replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
            for name, value in cells.items()
        }

    def summary(self) -> list[dict[str, Any]]:
        return [
            {"reason": reason, "count": count, "rows": self.examples[reason]}
            for reason, count in self.counts.most_common()
        ]


@job
def load_events(parameters: LoadEvents) -> dict[str, Any]:
    """Store a history's events and fold the new ones into counts, purchases and preferences, each event once.

    An event goes by its ``event_id`` or, without one, by all that its row says: the same file again adds nothing. Bad
    rows are counted by reason and left out. Chunks are transactions: run an interrupted load again.
    """
    bad = _Rejections(parameters.source, parameters.keep_rejected)
    counts = dict.fromkeys(("rows", "stored", "known", "rejected"), 0)
    dates: set[date] = set()
    ignored: set[str] = set()
    with sources.opened(parameters.source) as file:
        form = sources.format_of(parameters.source, parameters.format)
        for unread, chunk in event_files.chunks(file, form, parameters.chunk_rows):
            ignored.update(unread)
            checked = event_rows.check(chunk.rows, chunk.numbers, parameters.timestamp_unit)
            events = checked.events
            with transaction(statement_timeout_s=0) as connection:
                loaded = bulk_loading.append(
                    connection, streams({str(name): pa.array(events[name]) for name in events}) if len(events) else ()
                )
            wrong = chunk.broken + checked.rejected
            wrong += [(number, f"unknown product: {product}") for number, product in loaded.unknown_products]
            bad.add(wrong, chunk)
            # of all rows, not only of new ones: a load that was interrupted before the days were counted is made good
            dates.update(events["occurred_at"].dt.date.unique())
            counts["rows"] += len(chunk.numbers) + len(chunk.broken)
            counts["stored"] += loaded.stored
            counts["known"] += loaded.known
            counts["rejected"] += len(wrong)
            progress("history rows loaded", counts=dict(counts))
    with transaction(statement_timeout_s=0) as connection:
        bulk_loading.count_days(connection, sorted(dates))
        bulk_loading.analyze(connection)
    invalidation.flush()
    return {"source": parameters.source, **counts, "rejections": bad.summary(), "ignored_columns": sorted(ignored)}
