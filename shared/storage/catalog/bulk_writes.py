"""Write many products at once: create or update them by ``external_id`` in a few statements."""

import io
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from shared import messages
from shared.clients.postgres import Connection, copy_in, execute, read, transaction
from shared.domain.catalog import ProductPatch, ProductWrite
from shared.domain.category_references import CATEGORY_SEPARATOR
from shared.domain.pacing import next_rows
from shared.domain.shop import USUAL_DECIMALS, WITH_THREE_DECIMALS, WITHOUT_DECIMALS, decimals
from shared.errors import Unavailable
from shared.storage.catalog import category_paths
from shared.storage.events import outbox

log = logging.getLogger(__name__)

# Maximum number of ids in one catalog-changes message.
IDS_PER_MESSAGE: Final = 1000

# Maximum rows per statement; with long descriptions they take half a second on an idle machine. Where rows take longer,
# a statement has fewer, so that it stays far below STATEMENT_TIMEOUT_S.
ROWS_PER_STATEMENT: Final = 500
STATEMENT_S: Final = 1.0

# `given` names the fields that the row sets; an existing product keeps its values in all others.
STAGE: Final = """
CREATE TEMP TABLE IF NOT EXISTS catalog_rows (
    position integer PRIMARY KEY, external_id text NOT NULL, name text, description text, price numeric,
    image_url text, category text, category_id bigint, brand text, tags text[], quantity integer, is_active boolean,
    latitude double precision, longitude double precision, item_group_id text, list_price numeric, currency text,
    average_rating numeric(3, 2), review_count integer, available_from timestamptz, further_categories text[] NOT NULL,
    given text[] NOT NULL, stock_counted boolean NOT NULL, variant_title text,
    further_category_ids bigint[] NOT NULL DEFAULT '{}'
) ON COMMIT DROP"""
COPY: Final = """
COPY catalog_rows (position, external_id, name, description, price, image_url, category, category_id, brand, tags,
    quantity, is_active, latitude, longitude, item_group_id, list_price, currency, average_rating, review_count,
    available_from, further_categories, given, stock_counted, variant_title) FROM STDIN"""

UNKNOWN_CATEGORIES: Final = """
DELETE FROM catalog_rows r
WHERE category_id IS NOT NULL AND NOT EXISTS (SELECT FROM categories c WHERE c.id = r.category_id)
RETURNING position"""
# For rows that set a price or a currency: prices must not have more decimals than the currency.
_OF_ROW: Final = "CASE WHEN '{0}' = ANY (r.given) THEN r.{0} ELSE p.{0} END AS {0}"
EXCESS_DECIMALS: Final = f"""
WITH priced AS (
    SELECT r.position, coalesce(c.currency, (SELECT currency FROM shop)) AS currency, c.price, c.list_price
    FROM catalog_rows r LEFT JOIN products p USING (external_id),
         LATERAL (SELECT {", ".join(_OF_ROW.format(name) for name in ("price", "list_price", "currency"))}) AS c
    WHERE r.given && ARRAY['price', 'list_price', 'currency']
), limited AS (
    SELECT *, CASE WHEN currency = ANY (cast(:without_decimals AS text[])) THEN 0
                   WHEN currency = ANY (cast(:with_three_decimals AS text[])) THEN 3
                   ELSE {USUAL_DECIMALS} END AS decimals FROM priced
)
DELETE FROM catalog_rows r USING limited l
WHERE r.position = l.position AND (l.price <> round(l.price, l.decimals)
                                   OR l.list_price <> round(l.list_price, l.decimals))
RETURNING r.position, CASE WHEN l.price <> round(l.price, l.decimals) THEN 'price' ELSE 'list_price' END, l.currency"""
# Of several rows with the same id, the last one counts.
REPEATED: Final = """
DELETE FROM catalog_rows r USING catalog_rows later
WHERE later.external_id = r.external_id AND later.position > r.position"""
# Ordered, so that concurrent imports cannot deadlock.
LOCK: Final = """
SELECT count(*) FROM (
    SELECT 1 FROM products p JOIN catalog_rows r USING (external_id) ORDER BY p.id FOR NO KEY UPDATE OF p) AS locked"""

# A price as it is stored: with two decimals, and a third only if it is not zero. Exported files may lose trailing
# zeros; a price restored from them then has the same text as before.
STORED_PRICE: Final = "round({0}, greatest(2, min_scale({0})))"
_COLUMNS: Final = (
    "name",
    "description",
    "price",
    "image_url",
    "category_id",
    "brand",
    "tags",
    "quantity",
    "stock_counted",
    "is_active",
    "latitude",
    "longitude",
    "item_group_id",
    "variant_title",
    "list_price",
    "currency",
    "average_rating",
    "review_count",
    "available_from",
    "further_category_ids",
)
_NEW: Final = ", ".join(
    f"CASE WHEN '{name}' = ANY (r.given) THEN r.{name} ELSE p.{name} END AS {name}" for name in _COLUMNS
)


PRICES: Final = ("price", "list_price")


def stored(row: str, name: str) -> str:
    """Return the SQL expression of a column's value as it is stored."""
    value = f"{row}.{name}"
    return STORED_PRICE.format(value) if name in PRICES else value


_SET: Final = ", ".join(f"{name} = {stored('n', name)}" for name in _COLUMNS)
_OLD_VALUES: Final = ", ".join(f"p.{name}" for name in _COLUMNS)
_NEW_VALUES: Final = ", ".join(f"n.{name}" for name in _COLUMNS)
_LIST: Final = ", ".join(_COLUMNS)
_ROW: Final = ", ".join(stored("r", name) for name in _COLUMNS)

# A row equal to the stored product is not a change: nothing is written or published.
UPDATE: Final = f"""
WITH n AS (SELECT p.id, {_NEW} FROM products p JOIN catalog_rows r USING (external_id)
           WHERE r.position BETWEEN :first AND :last)
UPDATE products p SET {_SET}, updated_at = now()
FROM n WHERE n.id = p.id AND ({_OLD_VALUES}) IS DISTINCT FROM ({_NEW_VALUES})
RETURNING p.id"""
INSERT: Final = f"""
INSERT INTO products (external_id, {_LIST})
SELECT external_id, {_ROW} FROM catalog_rows r
WHERE r.position BETWEEN :first AND :last AND NOT EXISTS (SELECT FROM products p WHERE p.external_id = r.external_id)
ORDER BY r.position
ON CONFLICT (external_id) DO NOTHING
RETURNING id"""


IDS: Final = """
SELECT r.position, p.id, p.external_id FROM catalog_rows r JOIN products p USING (external_id) ORDER BY r.position"""
# A transaction of several statements would hold the vocabulary lock for longer than STATEMENT_TIMEOUT_S and make
# refresh_catalog wait. Suggestions and corrections learn the new words once the message has been processed.
WORDS_LATER: Final = "SET LOCAL aisle.words_later = 'on'"
MERGE_DOCUMENTS: Final = "SELECT merge_pending_documents()"


@dataclass(frozen=True)
class Upserted:
    """Result of ``upsert``.

    created, updated : ids of products.
    refused : ``(position, field, message)`` of each refused row.
    products : ``(position, product id, external_id)`` of each accepted row, whether it changed its product or not.

    Rows equal to the stored product are only in ``products``. Rows superseded by a later row with the same
    ``external_id`` are in none of these.
    """

    created: list[int] = field(default_factory=list)
    updated: list[int] = field(default_factory=list)
    refused: list[tuple[int, str, str]] = field(default_factory=list)
    products: list[tuple[int, int, str]] = field(default_factory=list)


_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _cell(value: object) -> str:
    """Return a value in COPY's text format."""
    if value is None:
        return "\\N"
    if isinstance(value, list):
        quoted = ['"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in value]
        value = "{" + ",".join(quoted) + "}"
    return str(value).translate(_ESCAPES)


def given_columns(row: ProductWrite | ProductPatch) -> list[str]:
    """Return the fields that a row sets; a quantity also sets ``stock_counted`` unless the row sets it itself."""
    given = sorted(row.model_fields_set)
    if "quantity" in row.model_fields_set and "stock_counted" not in row.model_fields_set:
        given.append("stock_counted")
    return given


def _line(position: int, row: ProductWrite) -> str:
    given = given_columns(row)
    if row.category is not None or "category" in row.model_fields_set:
        given.append("category_id")
    if "further_categories" in row.model_fields_set:
        given.append("further_category_ids")
    cells: list[Any] = [
        position,
        row.external_id or str(uuid4()),
        row.name,
        row.description,
        row.price,
        row.image_url,
        row.category,
        row.category_id,
        row.brand,
        row.tags,
        row.quantity,
        row.is_active,
        row.latitude,
        row.longitude,
        row.item_group_id,
        row.list_price,
        row.currency,
        row.average_rating,
        row.review_count,
        row.available_from,
        row.further_categories,
        given,
        row.stock_counted,
        row.variant_title,
    ]
    return "\t".join(map(_cell, cells)) + "\n"


def excess_decimals(currency: str | None) -> str:
    """Return the error message for a price with more decimals than its currency."""
    known = f", as its currency {currency} has" if currency else "; set the currency of the product or the shop first"
    return f"must have at most {decimals(currency)} decimals{known}"


def _refuse_decimals(connection: Connection) -> list[tuple[int, str, str]]:
    currencies = {"without_decimals": sorted(WITHOUT_DECIMALS), "with_three_decimals": sorted(WITH_THREE_DECIMALS)}
    return [
        (int(position), name, excess_decimals(currency))
        for position, name, currency in execute(connection, EXCESS_DECIMALS, currencies)
    ]


def _in_parts(connection: Connection, statement: str, rows: int) -> list[int]:
    """Run a statement over all positions in chunks that take about STATEMENT_S each; return the ids it returns."""
    ids: list[int] = []
    first, size = 0, ROWS_PER_STATEMENT
    while first < rows:
        begun = time.monotonic()
        ids += [int(row[0]) for row in execute(connection, statement, {"first": first, "last": first + size - 1})]
        first, size = first + size, next_rows(size, time.monotonic() - begun, STATEMENT_S, ROWS_PER_STATEMENT)
    return ids


def upsert(connection: Connection, rows: Sequence[ProductWrite]) -> Upserted:
    """Create or update products by ``external_id`` inside the caller's transaction.

    New categories are created. A row is refused if its ``category_id`` is unknown, if several categories have its
    category's name, or if a price has more decimals than its currency; the others are written. Positions count from 0.
    Memory and time grow with ``rows``: write a long feed in chunks.
    """
    if not rows:
        return Upserted()
    execute(connection, STAGE)
    execute(connection, "TRUNCATE catalog_rows")
    lines = "".join(_line(position, row) for position, row in enumerate(rows))
    copy_in(connection, COPY, io.BytesIO(lines.encode()))
    execute(connection, "ANALYZE catalog_rows")
    refused: list[tuple[int, str, str]] = []
    # Most changes, such as price updates, name no category.
    if paths := {path for row in rows for path in (row.category, *row.further_categories) if path is not None}:
        depth = max(path.count(CATEGORY_SEPARATOR) + 1 for path in paths)
        refused = category_paths.resolve(connection, depth)
    refused += [
        (row[0], "category_id", f"there is no category {rows[row[0]].category_id}")
        for row in execute(connection, UNKNOWN_CATEGORIES)
    ]
    refused += _refuse_decimals(connection)
    execute(connection, REPEATED)
    if len(rows) > ROWS_PER_STATEMENT:
        execute(connection, WORDS_LATER)
    inserted = _in_parts(connection, INSERT, len(rows))
    # Lock after the insert, so that products created by a concurrent transaction are updated too.
    execute(connection, LOCK)
    updated = _in_parts(connection, UPDATE, len(rows))
    products = [(int(row[0]), int(row[1]), row[2]) for row in execute(connection, IDS)]
    return Upserted(inserted, updated, sorted(refused), products)


def announce(connection: Connection, product_ids: Sequence[int], change: str) -> list[int]:
    """Add the catalog-changes messages of a change to the outbox; return the outbox ids to publish after commit."""
    chunks = (product_ids[start : start + IDS_PER_MESSAGE] for start in range(0, len(product_ids), IDS_PER_MESSAGE))
    return [
        outbox.add(connection, messages.CATALOG_CHANGES, *messages.catalog_changes(chunk, change)) for chunk in chunks
    ]


# A callback that runs in the transaction of an import. It takes the accepted rows and the ids of the created products,
# and returns the ids of further products that it changed.
Also = Callable[[Connection, list[ProductWrite], list[int]], list[int]]


def merge_documents() -> None:
    """Merge the pending entries of the search index into it. Searches also find entries that are still pending.

    Call it after the commit, so that no row stays locked. A failure is logged and not raised, because entries left
    pending are merged by autovacuum, or by the write that makes the pending list exceed its limit.
    """
    try:
        read(MERGE_DOCUMENTS)
    except Unavailable as error:
        log.warning("search index not merged", extra={"reason": str(error)})


def import_products(rows: Sequence[ProductWrite], also: Also | None = None) -> Upserted:
    """Run ``upsert`` in its own transaction and publish to ``catalog-changes`` after the commit."""
    with transaction() as connection:
        result = upsert(connection, rows)
        updated = result.updated
        if also is not None:
            refused = {position for position, _field, _message in result.refused}
            stored = [row for place, row in enumerate(rows) if place not in refused]
            updated = list(dict.fromkeys(updated + also(connection, stored, result.created)))
        unsent = announce(connection, result.created, "created") + announce(connection, updated, "updated")
    if unsent:
        outbox.publish_now(unsent)
        merge_documents()
    return result
