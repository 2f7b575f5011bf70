"""Route of imports: creating and changing many products at once."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from functions.products.answering import WithoutQuery, after_commit, author
from functions.products.schemas import ImportReport
from shared.auth import CatalogAdmin
from shared.clients.postgres import transaction
from shared.domain import feeds
from shared.errors import InvalidRequest, UnsupportedMediaType
from shared.http import IdempotencyKey
from shared.http.answers import dump
from shared.http.api import problem_responses
from shared.http.idempotency import Finish, fingerprint, once
from shared.storage.catalog import product_writes
from shared.storage.catalog.product_writes import Author

PATH: Final = "/products/import"
MAX_IMPORT_BYTES: Final = 33_554_432
IMPORT_TYPES: Final = {
    "application/x-ndjson": feeds.parse_json_lines,
    "application/jsonl": feeds.parse_json_lines,
    "text/csv": feeds.parse_csv,
}
IMPORT: Final = problem_responses(401, 403, 409, 415)
IMPORT_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "Up to 10,000 lines or rows of one product each, with the fields of ProductWrite.",
        "content": {media_type: {"schema": {"type": "string"}} for media_type in IMPORT_TYPES},
    }
}
router = APIRouter(prefix=PATH, tags=["imports"])


@router.post("", response_model=ImportReport, responses=IMPORT, openapi_extra=IMPORT_BODY)
async def import_products(
    request: Request, actor: CatalogAdmin, _query: WithoutQuery, key: IdempotencyKey = None
) -> Response:
    """Create or change up to 10,000 products by `external_id`. Invalid rows are reported; the others are imported."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in IMPORT_TYPES:
        raise UnsupportedMediaType(f"Send one of these as Content-Type: {', '.join(IMPORT_TYPES)}.")
    body = await request.body()
    return await run_in_threadpool(_import, media_type, body, author(actor, request), key)


def _import(media_type: str, body: bytes, by: Author, key: str | None) -> Response:
    unsent: list[int] = []

    def work(finish: Finish) -> Response:
        feed = IMPORT_TYPES[media_type](body)
        if not feed.rows and not feed.errors:
            raise InvalidRequest("The body has no rows.")
        with transaction() as connection:
            done = product_writes.save(connection, [row for _line, row in feed.rows], by)
            problems = [(one.row, one.field, one.message) for one in feed.errors]
            problems += [(feed.rows[position][0], field, message) for position, field, message in done.refused]
            report = {
                "created": len(done.created),
                "updated": len(done.updated),
                "failed": len({row for row, _field, _message in problems}),
                "errors": [
                    {"row": row, "field": field, "message": message} for row, field, message in sorted(problems)
                ],
            }
            answer = Response(dump(report), media_type="application/json")
            finish(connection, answer)
        unsent.extend(done.outbox)
        return answer

    answer = once(key, "POST /products/import", fingerprint(media_type, body), work)
    after_commit(unsent)
    return answer
