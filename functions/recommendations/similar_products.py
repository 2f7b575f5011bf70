"""GET /similar-products."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.recommendations.schemas.similar_products import SimilarProducts, SimilarProductsQuery
from shared.domain.events import uuid7
from shared.domain.product_references import ProductReference
from shared.http import cached, computed, fresh
from shared.http.answers import dump
from shared.http.api import OWNED, problem_responses
from shared.http.credentials import MaybeShopper
from shared.ranked_products import ranked_products
from shared.reasons import similar_reason
from shared.storage.answers.protocol import SIMILAR, similar_products_key
from shared.storage.catalog import product_ids
from shared.storage.recommending import similar_products
from shared.storage.recommending.attribution import LoggedAnswer
from shared.storage.recommending.similar_products import Kind

router = APIRouter()


@router.get(
    "/similar-products",
    response_model=SimilarProducts,
    response_model_exclude_unset=True,
    responses=OWNED | problem_responses(404),
)
async def list_similar_products(
    request: Request, user_id: MaybeShopper, query: Annotated[SimilarProductsQuery, QueryParameters()]
) -> Response:
    """List the products most similar to a product.

    Products are similar if the same people are interested in them or if their descriptions are alike. The fewer people
    have interacted with the product, the more its description counts. `kind` restricts the answer to one of the two.
    """
    target = ProductReference(query.product_id, query.external_id)
    k, kind, explain = query.k, query.kind, query.explain
    if user_id is not None:
        # never stored: each user's answer has an id of its own, under which feedback is counted
        body = await computed(find_similar, target, k, kind, explain, user_id)
        return fresh(request, body, max_age_s=0, public=False)
    answer = await cached(
        SIMILAR,
        similar_products_key(target, k, kind, explain),
        ttl_s=3600,
        compute=lambda: find_similar(target, k, kind, explain),
    )
    return fresh(request, answer.body, max_age_s=60, is_hit=answer.is_hit)


def find_similar(target: ProductReference, k: int, kind: Kind, explain: bool, user_id: str | None = None) -> bytes:
    """Compute the answer; with a user it is logged and has a recommendation_id.

    Raises ProductNotFound, and InvalidRequest for two ids that are not the same product's.
    """
    log = None if user_id is None else LoggedAnswer(str(uuid7()), user_id, "similar", "similar", None)
    neighbours = similar_products.similar(target, k, log, kind=kind)
    if neighbours:
        product_id, external_id = neighbours[0].target_id, neighbours[0].target_external_id
    else:
        product_id, external_id, _is_active = product_ids.resolve_active(target)
    products = ranked_products(
        (neighbour.product, neighbour.score, {"reason": similar_reason(product_id, neighbour)} if explain else {})
        for neighbour in neighbours
    )
    answer: dict[str, Any] = {"product_id": product_id, "external_id": external_id, "similar_products": products}
    if log is not None:
        answer["recommendation_id"] = log.id
    return dump(answer | {"generated_at": datetime.now(UTC)})
