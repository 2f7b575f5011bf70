"""Job, on demand: import a catalog feed (CSV, JSON lines, XML, JSON-LD or Parquet), row by row."""

from typing import Any

from pydantic import Field

from jobs.data.catalog_import import CatalogImport, recorded_failure
from jobs.data.options import TableParameters
from jobs.data.product_files import open_products
from shared.clients import sources
from shared.job import job
from shared.storage.operations import imports
from shared.tables.presets import parse_reading


class ImportCatalog(TableParameters):
    """Where the feed is, and how it is written. Columns or fields are those of `POST /products`, usual names of them,
    or those of a shop system's export; ``external_id`` identifies a known product."""

    preset: str | None = Field(
        None, max_length=20, description="aisle, shopify, woocommerce, magento, prestashop, google or jsonld"
    )
    dry_run: bool = Field(False, description="store nothing, and report how the feed is read and its first products")


@job
def import_catalog(parameters: ImportCatalog) -> dict[str, Any]:
    """Create or change the products of a feed and report what became of its rows.

    Rows with errors are reported by their line and left out. The others are stored in chunks, each in one transaction.
    An interrupted import can be repeated: rows that are already stored count as unchanged. Products that a feed no
    longer contains are kept. Raises InvalidRequest, with the reasons, if no row can be used.
    """
    options = parameters.text_options()
    reading = parse_reading(parameters.preset, parameters.columns)
    if parameters.dry_run:
        preview = CatalogImport()
        with sources.opened(parameters.source) as file:
            form = sources.known_format(parameters.source, parameters.format)
            shown = preview.run(open_products(file, form, reading, options), is_dry=True)
        return {"source": parameters.source, "dry_run": True, **preview.report(), "preview": shown}
    import_id = imports.begin("job", parameters.source)
    work = CatalogImport(on_progress=lambda counts: imports.report_progress(import_id, counts))
    with recorded_failure(import_id, work), sources.opened(parameters.source) as file:
        form = sources.known_format(parameters.source, parameters.format)
        work.run(open_products(file, form, reading, options))
    imports.end(import_id, "succeeded", work.counts, work.report())
    return {"source": parameters.source, **work.report()}
