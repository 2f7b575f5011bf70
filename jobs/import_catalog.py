"""Job, on demand: take a catalog feed (CSV, JSON lines or Parquet), row by row into products."""

from itertools import islice
from typing import Any, Final

from jobs.data.options import TableParameters
from jobs.data.product_files import open_products
from shared.clients import sources
from shared.errors import InvalidRequest
from shared.job import job, progress
from shared.storage.catalog import bulk_writes
from shared.tables.columns import PRODUCT_COLUMNS, Columns, parse_columns
from shared.tables.products import Repeated, Repetitions, RowError, count_errors
from shared.tables.reports import LeftOut

MAX_ERRORS_REPORTED: Final = 1000
MAX_REPEATED_REPORTED: Final = 1000
MAX_PRODUCTS_REPORTED: Final = 1000
ROWS_PER_CHUNK: Final = 5000


class ImportCatalog(TableParameters):
    """Where the feed is, and how it is written. Columns or fields are those of `POST /products`, or usual names of
    them; ``external_id`` identifies a known product."""


@job
def import_catalog(parameters: ImportCatalog) -> dict[str, Any]:
    """Create or change the products of a feed and report what became of its rows.

    Rows with errors are reported by their line and left out; the others load, in chunks that are transactions: run an
    interrupted import again, what is stored already is no change. Products that a feed no longer names stay. Raises
    InvalidRequest, with the reasons, when no row can be used.
    """
    options = parameters.text_options()
    columns = Columns(PRODUCT_COLUMNS, parse_columns(parameters.columns, PRODUCT_COLUMNS))
    counts = dict.fromkeys(("rows", "created", "updated", "unchanged", "rejected", "repeated"), 0)
    errors: list[RowError] = []
    left_out = LeftOut()
    repetitions, repeated = Repetitions(), list[Repeated]()
    products: list[dict[str, Any]] = []

    def reject(problems: list[RowError]) -> None:
        counts["rejected"] += 1
        count_errors(left_out, problems)
        errors.extend(problems[: MAX_ERRORS_REPORTED - len(errors)])

    with sources.opened(parameters.source) as file:
        feed = open_products(file, sources.format_of(parameters.source, parameters.format), columns, options)
        rows = iter(feed)
        while chunk := list(islice(rows, ROWS_PER_CHUNK)):
            good = []
            for row in chunk:
                if isinstance(row, list):
                    reject(row)
                else:
                    good.append(row)
            done = bulk_writes.import_products([product for _row, product in good])
            products += [
                {"row": good[position][0], "product_id": product_id, "external_id": external_id}
                for position, product_id, external_id in done.products[: MAX_PRODUCTS_REPORTED - len(products)]
            ]
            refused = {position for position, _name, _message in done.refused}
            for position, name, message in done.refused:
                reject([RowError(good[position][0], name, message)])
            replaced = repetitions.add(row for position, row in enumerate(good) if position not in refused)
            first = good[0][0] if good else 0
            # a row that a later row of its own chunk replaced was not written
            unwritten = sum(pair.row >= first for pair in replaced)
            repeated += replaced[: MAX_REPEATED_REPORTED - len(repeated)]
            counts["rows"] += len(chunk)
            counts["created"] += len(done.created)
            counts["updated"] += len(done.updated)
            counts["repeated"] += len(replaced)
            counts["unchanged"] += len(good) - len(done.created) - len(done.updated) - len(refused) - unwritten
            progress("catalog rows imported", counts=dict(counts))
    used = counts["rows"] - counts["rejected"] - counts["repeated"]
    report: dict[str, Any] = {
        "source": parameters.source,
        **counts,
        "used": used,
        "errors": [{"row": error.row, "field": error.field, "message": error.message} for error in errors],
        "errors_truncated": len(errors) >= MAX_ERRORS_REPORTED,
        "left_out": left_out.summary(),
        "repeated_rows": [
            {"row": pair.row, "external_id": pair.external_id, "replaced_by": pair.replaced_by} for pair in repeated
        ],
        "products": products,
        "ignored_columns": sorted(feed.ignored),
        "read_as": feed.read_as,
    }
    if not used:
        reasons = left_out.sentence() or "the feed has no rows"
        raise InvalidRequest(
            f"No product of {counts['rows']} rows could be used: {reasons}.",
            **{name: value for name, value in report.items() if name != "errors"},
            row_errors=report["errors"],
        )
    return report
