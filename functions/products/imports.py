"""Route of imports: creating and changing many products at once, from CSV or JSON lines."""

import gzip
import io
import zlib
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from functions.products.answering import after_commit, author
from functions.products.schemas.catalog import ImportQuery, ImportReport
from shared.clients.postgres import transaction
from shared.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType
from shared.http import IdempotencyKey
from shared.http.answers import dump
from shared.http.api import problem_responses
from shared.http.credentials import CatalogAdmin
from shared.http.idempotency import Finish, fingerprint, once
from shared.http.serve import GZIP_MAGIC
from shared.storage.catalog import product_writes
from shared.storage.catalog.product_writes import Author, Written
from shared.storage.operations import imports
from shared.storage.operations.idempotency import CLAIM_S
from shared.tables.csv_files import TextOptions, text_options
from shared.tables.presets import Reading, parse_reading
from shared.tables.product_values import RowError
from shared.tables.products import (
    PREVIEW_ROWS,
    Feed,
    Repetitions,
    TextFormat,
    count_errors,
    form_of,
    mapping_of,
    parse_products,
    shown,
)

PATH: Final = "/products/import"
# of the body as it is sent, and as it is after decompression
MAX_IMPORT_BYTES: Final = 33_554_432
IMPORT_TYPES: Final[dict[str, TextFormat]] = {
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "text/csv": "csv",
    "application/xml": "xml",
    "application/ld+json": "jsonl",
}
# what clients send as well; a gzip file's own content says what it is
OTHER_TYPES: Final[dict[str, TextFormat | None]] = {
    "application/csv": "csv",
    "text/tab-separated-values": "csv",
    "application/ndjson": "jsonl",
    "text/xml": "xml",
    "application/rss+xml": "xml",
    "application/atom+xml": "xml",
    "application/gzip": None,
    "application/x-gzip": None,
}
IMPORT: Final = problem_responses(401, 403, 409, 415)
IMPORT_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "Up to 10,000 rows, lines or items of one product each, with the fields of ProductWrite or "
        "common names for them, or as a shop system exports them (`preset`). gzip is accepted, as Content-Encoding or "
        "as Content-Type application/gzip, up to 32 MiB unpacked.",
        "content": {media_type: {"schema": {"type": "string"}} for media_type in IMPORT_TYPES},
    }
}
router = APIRouter(prefix=PATH, tags=["imports"])


def unpack(body: bytes) -> bytes:
    """Return the content of a gzip body. Raises InvalidRequest, and BodyTooLarge beyond MAX_IMPORT_BYTES."""
    try:
        content = gzip.GzipFile(fileobj=io.BytesIO(body)).read(MAX_IMPORT_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        reason = str(error).rstrip(".")
        raise InvalidRequest(f"The body is not valid gzip: {reason}. Nothing was stored; send it again.") from None
    if len(content) > MAX_IMPORT_BYTES:
        raise BodyTooLarge(f"The unpacked body must be at most {MAX_IMPORT_BYTES} bytes; use the job import_catalog.")
    return content


@router.post("", response_model=ImportReport, responses=IMPORT, openapi_extra=IMPORT_BODY)
async def import_products(
    request: Request, actor: CatalogAdmin, query: Annotated[ImportQuery, InQuery()], key: IdempotencyKey = None
) -> Response:
    """Create or change up to 10,000 products by `external_id`. Invalid rows are reported; the others are imported."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in IMPORT_TYPES and media_type not in OTHER_TYPES:
        raise UnsupportedMediaType(f"Send one of these as Content-Type: {', '.join((*IMPORT_TYPES, *OTHER_TYPES))}.")
    packing = request.headers.get("content-encoding", "").strip().lower()
    if packing not in ("", "identity", "gzip", "x-gzip"):
        raise UnsupportedMediaType("Send the body uncompressed, or with Content-Encoding: gzip.")
    body = await request.body()
    if "gzip" in packing and not body.startswith(GZIP_MAGIC):
        raise InvalidRequest("Content-Encoding says gzip, but the body is not gzip; send it without Content-Encoding.")
    work = _Import(media_type, body, query, author(actor, request))
    charset = _charset(request.headers.get("content-type", ""))
    return await run_in_threadpool(work.run, charset, key)


def _charset(content_type: str) -> str | None:
    """Return the body's encoding by its header. UTF-8 is what clients add by themselves: it says nothing."""
    for part in content_type.split(";")[1:]:
        name, _, value = part.partition("=")
        charset = value.strip().strip("\"'").lower()
        if name.strip().lower() == "charset" and charset and charset.replace("_", "-") not in ("utf-8", "utf8"):
            return charset
    return None


class _Import:
    """One import: its request, and what is left to publish after the commit."""

    def __init__(self, media_type: str, body: bytes, query: ImportQuery, by: Author) -> None:
        self.media_type, self.body, self.query, self.by = media_type, body, query, by
        self.unsent: list[int] = []

    def run(self, charset: str | None, key: str | None) -> Response:
        query = self.query
        reading = parse_reading(query.preset, query.columns)
        options = text_options(query.separator, query.encoding or charset, query.decimal)
        if query.dry_run:
            # nothing is stored, so a repeated request need not be recognised
            return _json(_report(self._feed(reading, options), Written([], [], [], [], []), is_dry=True))
        parts = (query,) if query.model_fields_set else ()

        def work(finish: Finish) -> Response:
            return self._work(reading, options, finish)

        request_hash = fingerprint(self.media_type, self.body, *parts)
        answer = once(key, f"POST {PATH}", request_hash, work, work_s=CLAIM_S)
        after_commit(self.unsent)
        return answer

    def _feed(self, reading: Reading, options: TextOptions) -> Feed:
        body = unpack(self.body) if self.body.startswith(GZIP_MAGIC) else self.body
        form = IMPORT_TYPES.get(self.media_type) or OTHER_TYPES[self.media_type] or form_of(body)
        feed = parse_products(body, form, reading, options)
        if not feed.rows and not feed.errors:
            raise InvalidRequest("The body has no rows; check that its export was not empty.")
        return feed

    def _work(self, reading: Reading, options: TextOptions, finish: Finish) -> Response:
        feed = self._feed(reading, options)
        with transaction() as connection:
            done = product_writes.save(connection, [product for _row, product in feed.rows], self.by)
            report = _report(feed, done)
            imports.record_done(connection, f"POST {PATH}", report)
            answer = _json(report)
            finish(connection, answer)
        self.unsent = list(done.outbox)
        return answer


def _json(report: dict[str, Any]) -> Response:
    return Response(dump(report), media_type="application/json")


def _report(feed: Feed, done: Written, *, is_dry: bool = False) -> dict[str, Any]:
    """Return what became of a feed's rows. A dry run has written none, so none of them is unchanged."""
    refused = {position: RowError(feed.rows[position][0], field, message) for position, field, message in done.refused}
    for error in refused.values():
        count_errors(feed.left_out, [error])
    errors = sorted((error.row, error.field, error.message) for error in (*feed.errors, *refused.values()))
    good = [row for position, row in enumerate(feed.rows) if position not in refused]
    repeated = Repetitions().add(good)
    failed = len({row for row, _field, _message in errors})
    unchanged = 0 if is_dry else len(good) - len(done.created) - len(done.updated) - len(repeated)
    return {
        "created": len(done.created),
        "updated": len(done.updated),
        "failed": failed,
        "errors": [{"row": row, "field": field, "message": message} for row, field, message in errors],
        "rows": len(good) + failed,
        "used": len(good) - len(repeated),
        "unchanged": unchanged,
        "repeated": [
            {"row": pair.row, "external_id": pair.external_id, "replaced_by": pair.replaced_by} for pair in repeated
        ],
        "products": [
            {"row": feed.rows[position][0], "product_id": product_id, "external_id": external_id}
            for position, product_id, external_id in done.products
        ],
        "left_out": feed.left_out.summary(),
        **mapping_of(feed.catalog),
        "dry_run": is_dry,
        "preview": [shown(product) for _row, product in good[:PREVIEW_ROWS]] if is_dry else [],
    }
