"""Job, every 15 minutes: import the scheduled feeds that are due."""

import logging
import time
from typing import Any, Final

from jobs.data import medusa
from jobs.data.catalog_import import CatalogImport, hide_vanished, recorded_failure
from jobs.data.feed_files import FeedFile, fetched
from jobs.data.product_files import open_products
from shared.clients import sources
from shared.clients.postgres import Connection
from shared.domain.catalog import ProductWrite
from shared.domain.feeds import MEDUSA
from shared.errors import AppError
from shared.job import Parameters, job
from shared.storage.catalog import feeds
from shared.storage.operations import imports
from shared.tables.csv_files import text_options
from shared.tables.offers import SALE_DATES
from shared.tables.presets import parse_reading

log = logging.getLogger(__name__)

# less than timeout_s of functions.yaml; feeds that are left over remain due at the next run
TIME_LIMIT_S: Final = 1200.0


class ImportFeeds(Parameters):
    """No parameters: /admin/feeds has the feeds."""


@job
def import_feeds(_parameters: ImportFeeds) -> dict[str, Any]:
    """Import each due feed whose file has changed or has dates of sales, and hide the products that vanished from it.

    A feed that fails does not affect the others. Returns the numbers of feeds imported, unchanged and failed.
    """
    deadline = time.monotonic() + TIME_LIMIT_S
    counts = {"imported": 0, "unchanged": 0, "failed": 0, "left": 0}
    for feed in feeds.due():
        if time.monotonic() > deadline:
            counts["left"] += 1
            continue
        counts[_run(feed, deadline)] += 1
    return counts


def _run(feed: dict[str, Any], deadline: float) -> str:
    """Run one feed, record the result, and return the outcome."""
    marks = {name: feed[name] for name in ("etag", "last_modified", "digest")}
    feeds.begin_run(feed["id"])
    try:
        if feed["preset"] == MEDUSA:
            outcome, detail = medusa.pull(feed, deadline)
            feeds.record_run(feed, outcome, detail, marks)
            return outcome
        with fetched(feed["url"], feed["credentials"], **marks) as file:
            if file is None:
                outcome, detail = "unchanged", "The file has not changed since the last run."
            else:
                outcome, detail, has_dates = _take(feed, file)
                marks = {"etag": file.etag, "last_modified": file.last_modified, "digest": file.digest}
                if has_dates:
                    # without marks, the next run reads the same file again: sales begin and end without a change of it
                    marks = dict.fromkeys(marks)
    except AppError as error:
        outcome, detail = "failed", error.detail or str(error)
    except Exception as error:
        log.exception("feed failed", extra={"feed": feed["id"]})
        outcome, detail = "failed", f"{type(error).__name__}: the error was logged."
    feeds.record_run(feed, outcome, detail, marks)
    return outcome


def _take(feed: dict[str, Any], file: FeedFile) -> tuple[str, str, bool]:
    """Import a fetched file; return the outcome, its detail, and whether the file has dates of sales.

    Raises InvalidRequest if no row can be used or the file breaks off.
    """
    import_id = imports.begin("feed", feed["url"], feed["id"])

    def note(connection: Connection, rows: list[ProductWrite], created: list[int]) -> list[int]:
        return feeds.mark_seen(connection, feed["id"], import_id, rows, created)

    work = CatalogImport(
        on_progress=lambda counts: imports.report_progress(import_id, counts), in_chunk=note, needs_ids=True
    )
    with recorded_failure(import_id, work):
        reading = parse_reading(feed["preset"], feed["columns"])
        options = text_options(feed["separator"], feed["encoding"], feed["decimal"])
        with sources.unpacked(file.file, feed["url"]) as plain:
            form = sources.known_format(feed["url"], feed["format"])
            work.run(open_products(plain, form, reading, options))
        vanished = hide_vanished(feed, work, import_id)
    report = work.report()
    imports.end(import_id, "succeeded", work.counts, report | {"vanished": vanished})
    counts = work.counts
    detail = (
        f"{counts['created']} created, {counts['updated']} changed, {counts['rejected']} rows refused; "
        f"{vanished['hidden']} hidden.{' ' + vanished['reason'] if vanished['reason'] else ''}"
    )
    return "imported", detail, not SALE_DATES.isdisjoint(report["columns"])
