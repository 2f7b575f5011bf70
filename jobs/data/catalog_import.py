"""Stores a catalog chunk by chunk, and counts what became of its rows. Shared by import_catalog and import_feeds."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from shared.clients.postgres import transaction
from shared.domain.pacing import next_rows
from shared.errors import InvalidRequest, Unavailable
from shared.job import progress
from shared.storage.catalog import bulk_writes, feeds
from shared.storage.events import outbox
from shared.storage.operations import imports
from shared.tables.product_values import Row, RowError
from shared.tables.products import PREVIEW_ROWS, ProductRows, Repeated, Repetitions, count_errors, mapping_of, shown
from shared.tables.reports import LeftOut

MAX_ERRORS_REPORTED: Final = 1000
MAX_REPEATED_REPORTED: Final = 1000
MAX_PRODUCTS_REPORTED: Final = 1000
# A chunk is a transaction, which locks the products that it changes: others wait no longer than about CHUNK_S. If rows
# take longer, a chunk has fewer of them.
ROWS_PER_CHUNK: Final = 500
CHUNK_S: Final = 1.0


@dataclass
class CatalogImport:
    """One import: its counts and its report.

    on_progress : called with the counts after each chunk.  in_chunk : writes more in each chunk's transaction.
    needs_ids : whether to refuse rows without an ``external_id``, which a second run would store again.
    """

    on_progress: Callable[[dict[str, int]], None] = lambda _counts: None
    in_chunk: bulk_writes.Also | None = None
    needs_ids: bool = False
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("rows", "created", "updated", "unchanged", "rejected", "repeated"), 0)
    )
    errors: list[RowError] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    repeated: list[Repeated] = field(default_factory=list)
    # both ids of the products in the first rows that were stored
    products: list[dict[str, Any]] = field(default_factory=list)
    # external ids of the rejected rows, and the number of rejected rows without a readable one
    rejected_ids: set[str] = field(default_factory=set)
    rejected_without_id: int = 0
    catalog: ProductRows = field(default_factory=ProductRows)
    _repetitions: Repetitions = field(default_factory=Repetitions)

    @property
    def used(self) -> int:
        """The number of rows that were neither rejected nor replaced by a later row."""
        return self.counts["rows"] - self.counts["rejected"] - self.counts["repeated"]

    def run(self, catalog: ProductRows, *, is_dry: bool = False) -> list[dict[str, Any]]:
        """Store the catalog's rows, or with ``is_dry`` only read them, and return the first products.

        If the source breaks off, the chunks stored until then are kept. Raises InvalidRequest if it does, or if no row
        can be used; either way the error has the report's members. Raises Unavailable if the database fails; its detail
        says how many rows are stored.
        """
        self.catalog = catalog
        first_products: list[dict[str, Any]] = []
        rows = iter(catalog)
        size = ROWS_PER_CHUNK
        try:
            while chunk := list(islice(rows, size)):
                begun = time.monotonic()
                good = self.take(chunk, is_dry=is_dry)
                size = next_rows(len(chunk), time.monotonic() - begun, CHUNK_S, ROWS_PER_CHUNK)
                first_products += [shown(row[1]) for row in good[: PREVIEW_ROWS - len(first_products)]]
        except InvalidRequest as error:
            if not self.counts["rows"]:
                raise
            kept = f" {self.used} rows before that are stored." if not is_dry else ""
            raise self._failure(f"{error.detail}{kept}") from error
        except Unavailable as error:
            if self.counts["rows"] and not is_dry:
                error.detail = (
                    f"{error.detail} {self.used} rows before that are stored: run the import again to continue."
                )
            raise
        if not self.used:
            reasons = self.left_out.sentence() or self._nothing()
            raise self._failure(f"No product of {self.counts['rows']} rows could be used: {reasons}.")
        return first_products

    def take(self, chunk: list[Row | list[RowError]], *, is_dry: bool = False) -> list[Row]:
        """Store a chunk of rows in a transaction, and return those that passed the checks before it."""
        good = self._sorted_out(chunk)
        self._store(chunk, good, is_dry=is_dry)
        self.on_progress(dict(self.counts))
        progress("catalog rows imported", counts=dict(self.counts))
        return good

    def _nothing(self) -> str:
        skipped = self.catalog.skipped.sentence()
        return f"each of them {skipped}" if skipped else "the feed has no rows; check that its export was not empty"

    def _reject(self, problems: list[RowError]) -> None:
        self.counts["rejected"] += 1
        count_errors(self.left_out, problems)
        if external_id := problems[0].external_id:
            self.rejected_ids.add(external_id)
        else:
            self.rejected_without_id += 1
        self.errors.extend(problems[: MAX_ERRORS_REPORTED - len(self.errors)])

    def _sorted_out(self, chunk: list[Row | list[RowError]]) -> list[Row]:
        good: list[Row] = []
        for row in chunk:
            if isinstance(row, list):
                self._reject(row)
            elif self.needs_ids and row[1].external_id is None:
                self._reject(
                    [RowError(row[0], "external_id", "is required in a feed, which is read again; map a column to it")]
                )
            else:
                good.append(row)
        return good

    def _store(self, chunk: list[Row | list[RowError]], good: list[Row], *, is_dry: bool) -> None:
        products = [product for _row, product in good]
        done = bulk_writes.Upserted() if is_dry else bulk_writes.import_products(products, self.in_chunk)
        self.products += [
            {"row": good[position][0], "product_id": product_id, "external_id": external_id}
            for position, product_id, external_id in done.products[: MAX_PRODUCTS_REPORTED - len(self.products)]
        ]
        refused = {position for position, _name, _message in done.refused}
        for position, name, message in done.refused:
            self._reject([RowError(good[position][0], name, message, good[position][1].external_id)])
        replaced = self._repetitions.add(row for position, row in enumerate(good) if position not in refused)
        first = good[0][0] if good else 0
        # a row that a later row of its own chunk replaced was not written
        unwritten = sum(pair.row >= first for pair in replaced)
        self.repeated += replaced[: MAX_REPEATED_REPORTED - len(self.repeated)]
        counts = self.counts
        counts["rows"] += len(chunk)
        counts["created"] += len(done.created)
        counts["updated"] += len(done.updated)
        counts["repeated"] += len(replaced)
        if not is_dry:
            counts["unchanged"] += len(good) - len(done.created) - len(done.updated) - len(refused) - unwritten

    def _failure(self, detail: str) -> InvalidRequest:
        report = self.report()
        return InvalidRequest(
            detail, **{name: value for name, value in report.items() if name != "errors"}, row_errors=report["errors"]
        )

    def report(self) -> dict[str, Any]:
        """Return what became of the rows so far."""
        return {
            **self.counts,
            "used": self.used,
            "errors": [{"row": error.row, "field": error.field, "message": error.message} for error in self.errors],
            "errors_truncated": len(self.errors) >= MAX_ERRORS_REPORTED,
            "left_out": self.left_out.summary(),
            "repeated_rows": [
                {"row": pair.row, "external_id": pair.external_id, "replaced_by": pair.replaced_by}
                for pair in self.repeated
            ],
            "products": self.products,
            **mapping_of(self.catalog),
        }


@contextmanager
def recorded_failure(import_id: int, work: CatalogImport) -> Iterator[None]:
    """Record an import as failed, with the report so far, if the ``with`` block raises; the error is raised again."""
    try:
        yield
    except BaseException as error:
        detail = error.detail if isinstance(error, InvalidRequest) else f"{type(error).__name__}: the error was logged."
        imports.end(import_id, "failed", work.counts, work.report() | {"error": detail})
        raise


def hide_vanished(feed: Mapping[str, Any], work: CatalogImport, import_id: int) -> dict[str, Any]:
    """Hide the products that vanished from a feed, and return how many were hidden, and why if none were."""
    if work.rejected_without_id:
        reason = "Nothing was hidden: refused rows without a readable external_id may be the missing products."
        return {"known": None, "gone": None, "hidden": 0, "reason": reason}
    with transaction() as connection:
        feeds.keep(connection, feed["id"], import_id, sorted(work.rejected_ids))
        result = feeds.hide_vanished(connection, feed["id"], import_id, feed["max_gone_share"])
        unsent = bulk_writes.announce(connection, result.hidden, "deleted")
    if unsent:
        outbox.publish_now(unsent)
    reason = ""
    if result.gone and result.gone > feed["max_gone_share"] * result.known:
        reason = (
            f"{result.gone} of {result.known} products are missing, more than max_gone_share "
            f"({feed['max_gone_share']:.0%}), so none was hidden. Check the feed; raise max_gone_share if it is right."
        )
    return {"known": result.known, "gone": result.gone, "hidden": len(result.hidden), "reason": reason}
