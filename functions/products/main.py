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

from functions.products import imports
from functions.products.schemas import (
    Category,
    NoQuery,
    ProductPage,
    ProductQuery,
    Suggestions,
    SuggestQuery,
)
from shared.auth import CatalogAdmin, MaybeShopper
from shared.clients.postgres import transaction
from shared.domain.catalog import ProductPatch, ProductWrite
from shared.domain.product import Product
from shared.http import api, cached, fresh, serve
from shared.http.answers import dump
from shared.http.api import OWNED, problem_responses
from shared.http.idempotency import Finish, IdempotencyKey, fingerprint, once
from shared.storage.answers import cache
from shared.storage.catalog import product_writes, search
from shared.storage.catalog import products as catalog
from shared.storage.catalog.product_writes import By
from shared.storage.events import outbox
from shared.storage.people import search_history

# stored answers: dropped with the next change of the catalog, and old enough counts of views after this long
CACHE_TTL_S: Final = 60
# clients ask again, with the entity tag, after this long
MAX_AGE_S: Final = 5
# an admin does not wait longer than this for Pub/Sub: what is unsent is the job publish_outbox's
ANNOUNCE_TIMEOUT_S: Final = 2.0
CACHED: dict[int | str, dict[str, Any]] = {304: {"description": "The client's copy is still right (If-None-Match)."}}
CREATE = problem_responses(401, 403, 409)
CHANGE = problem_responses(401, 403, 404)
ProductId = Annotated[int, Path(ge=1, le=2**53 - 1)]
Nothing = Annotated[NoQuery, InQuery()]

app = api(
    "products",
    "The catalog of the shop, and its administration.",
    needs=("postgres", "redis", "pubsub"),
    max_body={imports.PATH: imports.MAX_IMPORT_BYTES},
)
app.include_router(imports.router)


def _key(kind: str, *parts: Any) -> str:
    return f"products:{kind}:{blake2b(orjson.dumps(parts), digest_size=16).hexdigest()}"


async def _stored(request: Request, key: str, compute: Callable[[], bytes]) -> Response:
    return fresh(request, await cached("products", key, ttl_s=CACHE_TTL_S, compute=compute), max_age_s=MAX_AGE_S)


@app.get("/products", response_model=ProductPage, responses=CACHED | OWNED)
async def list_products(request: Request, user_id: MaybeShopper, query: Annotated[ProductQuery, InQuery()]) -> Response:
    """Find products; all filters apply. Facets and total count everything found, on whatever page."""
    narrowed = query.model_dump(exclude={"user_id", "tags", "sort", "page", "page_size"})
    filters = catalog.Filters(**narrowed, tags=tuple(query.tags))
    page = catalog.Page(query.page, query.page_size, query.sort)
    key = _key("page", query.model_dump(exclude={"user_id"}))
    if user_id is None:
        return await _stored(request, key, lambda: catalog.find(filters, page))
    answer = cached("products", key, ttl_s=CACHE_TTL_S, compute=lambda: catalog.find(filters, page))
    if query.search.strip() and query.page == 1:
        # what is found is the same for everybody; that it was searched for is the user's
        body, _ = await asyncio.gather(answer, run_in_threadpool(search_history.keep, user_id, query.search))
    else:
        body = await answer
    return fresh(request, body, max_age_s=0, public=False)


@app.get("/products/suggest", response_model=Suggestions, responses=CACHED)
async def suggest(request: Request, query: Annotated[SuggestQuery, InQuery()]) -> Response:
    """Complete what is being typed: queries (corrected where it is mistyped), categories, products."""

    def compute() -> bytes:
        return dump({"suggestions": search.suggest(query.q, query.k)})

    return await _stored(request, _key("suggest", query.q, query.k), compute)


@app.get("/products/categories", response_model=list[Category], responses=CACHED)
async def list_categories(request: Request, _query: Nothing) -> Response:
    """List all categories by name."""
    return await _stored(request, "products:categories", catalog.categories)


@app.get("/products/{product_id}", response_model=Product, responses=CACHED | problem_responses(404))
async def get_product(request: Request, product_id: ProductId, _query: Nothing) -> Response:
    """Show one product. One that is not active is not found."""
    return await _stored(request, cache.product_key(product_id), lambda: catalog.one(product_id))


def _committed(outbox_ids: list[int]) -> None:
    """Make the change visible: no stored answer of before it is given any more, and subscribers hear of it."""
    if not outbox_ids:
        return
    cache.flush("products")
    outbox.publish_now(outbox_ids, wait_s=ANNOUNCE_TIMEOUT_S)


def _by(actor: str, request: Request) -> By:
    return By(actor, request.scope.get("request_id", ""))


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
            body = catalog.one_in(connection, product_id)
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
        body = catalog.one_in(connection, product_id)
    _committed(done.outbox)
    return Response(body, media_type="application/json")


@app.delete("/products/{product_id}", status_code=204, responses=CHANGE, tags=["admin"])
def delete_product(request: Request, actor: CatalogAdmin, product_id: ProductId, _query: Nothing) -> Response:
    """Take a product out of the shop; its history stays. Again: the same answer."""
    with transaction() as connection:
        unsent = product_writes.hide(connection, product_id, _by(actor, request))
    _committed(unsent)
    return Response(status_code=204)


products = serve(app)
