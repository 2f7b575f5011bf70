"""Route of imports: creating and changing many products at once, from CSV or JSON lines."""

import gzip
import io
import zlib
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from starlette.responses import Response

from shared.auth import CatalogAdmin
from shared.clients.postgres import transaction
from shared.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType
from shared.http import Query
from shared.http.answers import dump
from shared.http.api import problem_responses
from shared.http.idempotency import Finish, IdempotencyKey, fingerprint, once
from shared.storage.answers import cache
from shared.storage.catalog import product_writes
from shared.storage.catalog.product_writes import By
from shared.storage.events import outbox
from shared.tables.columns import PRODUCT_COLUMNS, Columns, parse_columns
from shared.tables.csv_files import TextOptions, text_options
from shared.tables.products import Repetitions, RowError, TextFormat, count_errors, parse_products

PATH: Final = "/products/import"
# of the body as it is sent, and as it is after decompression
MAX_IMPORT_BYTES: Final = 33_554_432
# seconds that staff wait for Pub/Sub; the job publish_outbox sends what is still unsent
PUBLISH_WAIT_S: Final = 2.0
IMPORT_TYPES: Final[dict[str, TextFormat]] = {
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "text/csv": "csv",
}
# what clients send as well; a gzip file's own content says what it is
OTHER_TYPES: Final[dict[str, TextFormat | None]] = {
    "application/csv": "csv",
    "text/tab-separated-values": "csv",
    "application/ndjson": "jsonl",
    "application/gzip": None,
    "application/x-gzip": None,
}
GZIP_MAGIC: Final = b"\x1f\x8b"
IMPORT: Final = problem_responses(401, 403, 409, 415)
IMPORT_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "Up to 10,000 rows or lines of one product each, with the fields of ProductWrite or usual names "
        "of them. gzip is accepted, as Content-Encoding or as Content-Type application/gzip, up to 32 MiB unpacked.",
        "content": {media_type: {"schema": {"type": "string"}} for media_type in IMPORT_TYPES},
    }
}
router = APIRouter(prefix=PATH)


class ImportQuery(Query):
    """How the file is written. Omitted parameters are detected in the file."""

    columns: str | None = Field(
        None,
        max_length=5000,
        description="FIELD:COLUMN pairs, such as `external_id:Handle,name:Title`. Other columns are then ignored.",
    )
    separator: str | None = Field(None, max_length=10, description="Separator of a CSV: one character, or `tab`.")
    encoding: str | None = Field(None, max_length=50, description="Text encoding, such as `windows-1252`.")
    decimal: str | None = Field(None, max_length=1, description="Decimal mark of a CSV's numbers: `.` or `,`.")


class RowProblem(BaseModel):
    """Why a row was rejected. Rows are lines of the body, the first being 1 (a CSV's header)."""

    row: int
    field: str
    message: str


class LeftOutRows(BaseModel):
    """How many rows were rejected for one reason, and the first five of them."""

    reason: str
    count: int
    rows: list[int]
    example: str | None = None


class RepeatedRow(BaseModel):
    """A row that was not stored, since a later row has the same `external_id`."""

    row: int
    external_id: str
    replaced_by: int


class ImportReport(BaseModel):
    """Result of an import: what became of the rows."""

    created: int
    updated: int
    failed: int = Field(description="Rows that were rejected.")
    errors: list[RowProblem]
    rows: int = Field(description="Rows that were read.")
    used: int = Field(description="Rows that were neither rejected nor replaced by a later row.")
    unchanged: int = Field(description="Rows that equal what is stored.")
    repeated: list[RepeatedRow] = Field(description="Rows that a later row of the same `external_id` replaced.")
    left_out: list[LeftOutRows] = Field(description="The rejected rows by reason, the most frequent first.")
    ignored_columns: list[str] = Field(description="Columns that were not read.")
    read_as: dict[str, str | None] = Field(
        description="How a CSV was read: its separator, encoding, and decimal mark (null if no number shows one)."
    )


def unpack(body: bytes) -> bytes:
    """Return the content of a gzip body. Raises InvalidRequest, and BodyTooLarge beyond MAX_IMPORT_BYTES."""
    try:
        content = gzip.GzipFile(fileobj=io.BytesIO(body)).read(MAX_IMPORT_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidRequest(f"The body is not valid gzip: {error}.") from None
    if len(content) > MAX_IMPORT_BYTES:
        raise BodyTooLarge(f"The unpacked body must be at most {MAX_IMPORT_BYTES} bytes.")
    return content


@router.post("", response_model=ImportReport, responses=IMPORT, openapi_extra=IMPORT_BODY, tags=["admin"])
async def import_products(
    request: Request, actor: CatalogAdmin, query: Annotated[ImportQuery, InQuery()], key: IdempotencyKey = None
) -> Response:
    """Create or change up to 10,000 products by `external_id`. Invalid rows are reported; the others are imported."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in IMPORT_TYPES and media_type not in OTHER_TYPES:
        raise UnsupportedMediaType(f"Send one of these as Content-Type: {', '.join((*IMPORT_TYPES, *OTHER_TYPES))}.")
    packing = request.headers.get("content-encoding", "").strip().lower()
    if packing not in ("", "identity", "gzip", "x-gzip"):
        raise UnsupportedMediaType("Send the body as it is, or with Content-Encoding: gzip.")
    body = await request.body()
    if "gzip" in packing and not body.startswith(GZIP_MAGIC):
        raise InvalidRequest("The body is not gzip, which Content-Encoding says.")
    work = _Import(media_type, body, query, By(actor, request.scope.get("request_id", "")))
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

    def __init__(self, media_type: str, body: bytes, query: ImportQuery, by: By) -> None:
        self.media_type, self.body, self.query, self.by = media_type, body, query, by
        self.unsent: list[int] = []

    def run(self, charset: str | None, key: str | None) -> Response:
        query = self.query
        columns = Columns(PRODUCT_COLUMNS, parse_columns(query.columns, PRODUCT_COLUMNS))
        options = text_options(query.separator, query.encoding or charset, query.decimal)
        parts = (query,) if query.model_fields_set else ()

        def work(finish: Finish) -> Response:
            return self._work(columns, options, finish)

        answer = once(key, f"POST {PATH}", fingerprint(self.media_type, self.body, *parts), work)
        if self.unsent:
            # stored answers of before the change are no longer valid
            cache.flush("products")
            outbox.publish_now(self.unsent, wait_s=PUBLISH_WAIT_S)
        return answer

    def _work(self, columns: Columns, options: TextOptions, finish: Finish) -> Response:
        body = unpack(self.body) if self.body.startswith(GZIP_MAGIC) else self.body
        form = IMPORT_TYPES.get(self.media_type) or OTHER_TYPES[self.media_type]
        if form is None:
            form = "jsonl" if body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else "csv"
        feed = parse_products(body, form, columns, options)
        if not feed.rows and not feed.errors:
            raise InvalidRequest("The body has no rows.")
        with transaction() as connection:
            done = product_writes.save(connection, [product for _row, product in feed.rows], self.by)
            refused = {
                position: RowError(feed.rows[position][0], field, message) for position, field, message in done.refused
            }
            for error in refused.values():
                count_errors(feed.left_out, [error])
            errors = sorted((error.row, error.field, error.message) for error in (*feed.errors, *refused.values()))
            good = [row for position, row in enumerate(feed.rows) if position not in refused]
            repeated = Repetitions().add(good)
            failed = len({row for row, _field, _message in errors})
            report: dict[str, Any] = {
                "created": len(done.created),
                "updated": len(done.updated),
                "failed": failed,
                "errors": [{"row": row, "field": field, "message": message} for row, field, message in errors],
                "rows": len(good) + failed,
                "used": len(good) - len(repeated),
                "unchanged": len(good) - len(done.created) - len(done.updated) - len(repeated),
                "repeated": [
                    {"row": pair.row, "external_id": pair.external_id, "replaced_by": pair.replaced_by}
                    for pair in repeated
                ],
                "left_out": feed.left_out.summary(),
                "ignored_columns": feed.ignored,
                "read_as": feed.read_as,
            }
            answer = Response(dump(report), media_type="application/json")
            finish(connection, answer)
        self.unsent = list(done.outbox)
        return answer
