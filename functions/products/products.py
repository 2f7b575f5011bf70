"""Routes of products: search, one product, and changes by staff."""

import asyncio
from dataclasses import fields
from typing import Annotated, Final

from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from functions.products.answering import (
    MAX_AGE_S,
    NOT_MODIFIED,
    ProductId,
    WithoutQuery,
    after_commit,
    author,
    stored_answer,
)
from functions.products.schemas.catalog import ExternalIdQuery, ProductPage, ProductQuery
from shared.clients.postgres import transaction
from shared.domain.catalog import ProductPatch, ProductWrite
from shared.domain.product import Product
from shared.domain.product_references import ProductReference
from shared.http import IdempotencyKey, cached, fresh
from shared.http.api import OWNED, problem_responses
from shared.http.credentials import CatalogAdmin, MaybeShopper
from shared.http.idempotency import Finish, fingerprint, once
from shared.storage.answers import protocol
from shared.storage.catalog import product_ids, product_pages, product_writes, searches
from shared.storage.catalog import products as catalog
from shared.storage.people import search_history
from shared.telemetry import metrics

router = APIRouter(prefix="/products", tags=["products"])
# the parameters that filter, under the names of product_pages.Filters; of the others some have another name there
FILTERS: Final = {field.name for field in fields(product_pages.Filters)} - {"tags", "external_ids"}
CREATE: Final = problem_responses(401, 403, 409)
CHANGE: Final = problem_responses(401, 403, 404)


@router.get("", response_model=ProductPage, responses=NOT_MODIFIED | OWNED)
async def list_products(request: Request, user_id: MaybeShopper, query: Annotated[ProductQuery, InQuery()]) -> Response:
    """Search and filter products.

    All filters apply together. Facets and `total` count the products found on all pages.
    """
    filter_values = query.model_dump(include=FILTERS)
    filters = product_pages.Filters(
        **filter_values, tags=query.all_tags, external_ids=tuple(dict.fromkeys(query.external_id))
    )
    page = product_pages.Page(query.page, query.page_size, query.sort, query.after)
    key = protocol.catalog_key("page", query.model_dump(exclude={"user_id"}))
    search = cached(
        protocol.PRODUCTS, key, ttl_s=protocol.CATALOG_TTL_S, compute=lambda: product_pages.find(filters, page)
    )
    is_first = bool(query.search.strip()) and query.page == 1 and query.after is None
    if user_id is not None and is_first:
        # the answer is the same for everybody; the user's search history is their own
        answer, _ = await asyncio.gather(search, run_in_threadpool(search_history.add, user_id, query.search))
    else:
        answer = await search
    if is_first:
        total = product_pages.total_of(answer.body)
        searches.note(query.search, total)
        metrics.record(metrics.SEARCHES, 1, {"aisle.results": "some" if total else "none"})
    if user_id is None and "aisle.located" not in request.scope:
        return fresh(request, answer.body, max_age_s=MAX_AGE_S, is_hit=answer.is_hit)
    return fresh(request, answer.body, max_age_s=0, public=False, is_hit=answer.is_hit)


@router.get("/{product_id}", response_model=Product, responses=NOT_MODIFIED | problem_responses(404))
async def get_product(request: Request, product_id: ProductId, _query: WithoutQuery) -> Response:
    """Get a product. 404 for a product that is not active."""
    return await stored_answer(request, protocol.product_key(product_id), lambda: catalog.get(product_id))


@router.post("", status_code=201, response_model=Product, responses=CREATE)
def create_product(
    request: Request, actor: CatalogAdmin, write: ProductWrite, _query: WithoutQuery, key: IdempotencyKey = None
) -> Response:
    """Create a product. A new category is created with it."""
    unsent: list[int] = []

    def work(finish: Finish) -> Response:
        with transaction() as connection:
            done = product_writes.create(connection, write, author(actor, request))
            product_id = done.created[0]
            body = catalog.get_in(connection, product_id)
            answer = Response(body, 201, {"Location": f"/products/{product_id}"}, "application/json")
            finish(connection, answer)
        unsent.extend(done.outbox)
        return answer

    answer = once(key, "POST /products", fingerprint(write), work)
    after_commit(unsent)
    return answer


@router.patch("/{product_id}", response_model=Product, responses=CHANGE)
def update_product(
    request: Request, actor: CatalogAdmin, product_id: ProductId, patch: ProductPatch, _query: WithoutQuery
) -> Response:
    """Change a product. Omitted fields stay as they are; null clears an optional field."""
    return _change(request, actor, ProductReference(product_id), patch)


@router.patch("", response_model=Product, responses=CHANGE)
def update_product_by_external_id(
    request: Request, actor: CatalogAdmin, patch: ProductPatch, query: Annotated[ExternalIdQuery, InQuery()]
) -> Response:
    """Change a product, by the shop's own id. Omitted fields stay as they are; null clears an optional field."""
    return _change(request, actor, ProductReference(None, query.external_id), patch)


def _change(request: Request, actor: str, product: ProductReference, patch: ProductPatch) -> Response:
    with transaction() as connection:
        product_id = product_ids.id_of(product, connection)
        done = product_writes.change(connection, product_id, patch, author(actor, request))
        body = catalog.get_in(connection, product_id)
    after_commit(done.outbox)
    return Response(body, media_type="application/json")


@router.delete("/{product_id}", status_code=204, responses=CHANGE)
def delete_product(request: Request, actor: CatalogAdmin, product_id: ProductId, _query: WithoutQuery) -> Response:
    """Remove a product from the shop. Its history is kept. Idempotent."""
    return _delete(request, actor, ProductReference(product_id))


@router.delete("", status_code=204, responses=CHANGE)
def delete_product_by_external_id(
    request: Request, actor: CatalogAdmin, query: Annotated[ExternalIdQuery, InQuery()]
) -> Response:
    """Remove a product from the shop, by the shop's own id. Its history is kept. Idempotent."""
    return _delete(request, actor, ProductReference(None, query.external_id))


def _delete(request: Request, actor: str, product: ProductReference) -> Response:
    with transaction() as connection:
        product_id = product_ids.id_of(product, connection)
        unsent = product_writes.deactivate(connection, product_id, author(actor, request))
    after_commit(unsent)
    return Response(status_code=204)
