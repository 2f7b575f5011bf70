"""HTTP: the catalog. Search, filters and facets, suggestions, one product, categories; admin writes and imports."""

import asyncio
from collections.abc import Callable
from hashlib import blake2b
from typing import Annotated, Any, Final

import orjson
from fastapi import Path, Request
from fastapi import Query as InQuery
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from functions.products.schemas import (
    Category,
    ImportReport,
    NoQuery,
    ProductPage,
    ProductQuery,
    Suggestions,
    SuggestQuery,
)
from shared.auth import CatalogAdmin, MaybeShopper
from shared.clients.postgres import transaction
from shared.domain import feeds
from shared.domain.catalog import ProductPatch, ProductWrite
from shared.domain.product import Product
from shared.errors import InvalidRequest, UnsupportedMediaType
from shared.http import api, cached, fresh, serve
from shared.http.answers import dump
from shared.http.api import OWNED, problem_responses
from shared.http.idempotency import Finish, IdempotencyKey, fingerprint, once
from shared.storage.answers import cache
from shared.storage.catalog import categories, product_pages, product_writes, suggestions
from shared.storage.catalog import products as stored_products
from shared.storage.catalog.product_writes import Author
from shared.storage.events import outbox
from shared.storage.people import search_history

MAX_IMPORT_BYTES: Final = 33_554_432
# stored answers: dropped with the next change of the catalog, and old enough counts of views after this long
CACHE_TTL_S: Final = 60
# clients ask again, with the entity tag, after this long
MAX_AGE_S: Final = 5
# an admin does not wait longer than this for Pub/Sub: what is unsent is the job publish_outbox's
ANNOUNCE_TIMEOUT_S: Final = 2.0
IMPORT_TYPES: Final = {
    "application/x-ndjson": feeds.parse_json_lines,
    "application/jsonl": feeds.parse_json_lines,
    "text/csv": feeds.parse_csv,
}
CACHED: dict[int | str, dict[str, Any]] = {304: {"description": "The client's copy is still right (If-None-Match)."}}
CREATE = problem_responses(401, 403, 409)
CHANGE = problem_responses(401, 403, 404)
IMPORT = problem_responses(401, 403, 409, 415)
IMPORT_BODY = {
    "requestBody": {
        "required": True,
        "description": "One product a line or row, up to 10,000, of the fields of ProductWrite.",
        "content": {media_type: {"schema": {"type": "string"}} for media_type in IMPORT_TYPES},
    }
}
ProductId = Annotated[int, Path(ge=1, le=2**53 - 1)]
Nothing = Annotated[NoQuery, InQuery()]

app = api(
    "products",
    "The catalog of the shop, and its administration.",
    needs=("postgres", "redis", "pubsub"),
    max_body={"/products/import": MAX_IMPORT_BYTES},
)


def _key(kind: str, *parts: Any) -> str:
    return f"products:{kind}:{blake2b(orjson.dumps(parts), digest_size=16).hexdigest()}"


async def _stored(request: Request, key: str, compute: Callable[[], bytes]) -> Response:
    return fresh(request, await cached("products", key, ttl_s=CACHE_TTL_S, compute=compute), max_age_s=MAX_AGE_S)


@app.get("/products", response_model=ProductPage, responses=CACHED | OWNED)
async def list_products(request: Request, user_id: MaybeShopper, query: Annotated[ProductQuery, InQuery()]) -> Response:
    """Find products; all filters apply. Facets and total count everything found, on whatever page."""
    narrowed = query.model_dump(exclude={"user_id", "tags", "sort", "page", "page_size"})
    filters = product_pages.Filters(**narrowed, tags=tuple(query.tags))
    page = product_pages.Page(query.page, query.page_size, query.sort)
    key = _key("page", query.model_dump(exclude={"user_id"}))
    if user_id is None:
        return await _stored(request, key, lambda: product_pages.find(filters, page))
    answer = cached("products", key, ttl_s=CACHE_TTL_S, compute=lambda: product_pages.find(filters, page))
    if query.search.strip() and query.page == 1:
        # what is found is the same for everybody; that it was searched for is the user's
        body, _ = await asyncio.gather(answer, run_in_threadpool(search_history.add, user_id, query.search))
    else:
        body = await answer
    return fresh(request, body, max_age_s=0, public=False)


@app.get("/products/suggest", response_model=Suggestions, responses=CACHED)
async def suggest(request: Request, query: Annotated[SuggestQuery, InQuery()]) -> Response:
    """Complete what is being typed: queries (corrected where it is mistyped), categories, products."""

    def compute() -> bytes:
        return dump({"suggestions": suggestions.suggest(query.q, query.k)})

    return await _stored(request, _key("suggest", query.q, query.k), compute)


@app.get("/products/categories", response_model=list[Category], responses=CACHED)
async def list_categories(request: Request, _query: Nothing) -> Response:
    """List all categories by name."""
    return await _stored(request, "products:categories", categories.list_categories)


@app.get("/products/{product_id}", response_model=Product, responses=CACHED | problem_responses(404))
async def get_product(request: Request, product_id: ProductId, _query: Nothing) -> Response:
    """Show one product. One that is not active is not found."""
    return await _stored(request, cache.product_key(product_id), lambda: stored_products.get(product_id))


def _committed(outbox_ids: list[int]) -> None:
    """Make the change visible: no stored answer of before it is given any more, and subscribers hear of it."""
    if not outbox_ids:
        return
    cache.flush("products")
    outbox.publish_now(outbox_ids, wait_s=ANNOUNCE_TIMEOUT_S)


def _by(actor: str, request: Request) -> Author:
    return Author(actor, request.scope.get("request_id", ""))


@app.post("/products", status_code=201, response_model=Product, responses=CREATE, tags=["admin"])
def create_product(
    request: Request, actor: CatalogAdmin, write: ProductWrite, _query: Nothing, key: IdempotencyKey = None
) -> Response:
    """Create a product. A category that is named and new is made."""
    unsent: list[int] = []

    def work(finish: Finish) -> Response:
        with transaction() as connection:
            done = product_writes.create(connection, write, _by(actor, request))
            product_id = done.created[0]
            body = stored_products.get_in(connection, product_id)
            answer = Response(body, 201, {"Location": f"/products/{product_id}"}, "application/json")
            finish(connection, answer)
        unsent.extend(done.outbox)
        return answer

    answer = once(key, "POST /products", fingerprint(write), work)
    _committed(unsent)
    return answer


@app.patch("/products/{product_id}", response_model=Product, responses=CHANGE, tags=["admin"])
def change_product(
    request: Request, actor: CatalogAdmin, product_id: ProductId, patch: ProductPatch, _query: Nothing
) -> Response:
    """Change what is given; null clears what may be empty."""
    with transaction() as connection:
        done = product_writes.change(connection, product_id, patch, _by(actor, request))
        body = stored_products.get_in(connection, product_id)
    _committed(done.outbox)
    return Response(body, media_type="application/json")


@app.delete("/products/{product_id}", status_code=204, responses=CHANGE, tags=["admin"])
def delete_product(request: Request, actor: CatalogAdmin, product_id: ProductId, _query: Nothing) -> Response:
    """Take a product out of the shop; its history stays. Again: the same answer."""
    with transaction() as connection:
        unsent = product_writes.deactivate(connection, product_id, _by(actor, request))
    _committed(unsent)
    return Response(status_code=204)


@app.post("/products/import", response_model=ImportReport, responses=IMPORT, openapi_extra=IMPORT_BODY, tags=["admin"])
async def import_products(
    request: Request, actor: CatalogAdmin, _query: Nothing, key: IdempotencyKey = None
) -> Response:
    """Create or change up to 10,000 products by ``external_id``. Wrong rows are reported, the others load."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in IMPORT_TYPES:
        raise UnsupportedMediaType(f"Send one of these as Content-Type: {', '.join(IMPORT_TYPES)}.")
    body = await request.body()
    return await run_in_threadpool(_import, media_type, body, _by(actor, request), key)


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
    _committed(unsent)
    return answer


products = serve(app)
