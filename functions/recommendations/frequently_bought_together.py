"""GET /frequently-bought-together."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.recommendations.schemas.frequently_bought_together import (
    FrequentlyBoughtTogether,
    FrequentlyBoughtTogetherQuery,
)
from shared.domain.events import uuid7
from shared.domain.product_references import ProductReference
from shared.errors import ProductNotFound
from shared.http import cached, computed, fresh
from shared.http.answers import dump
from shared.http.api import OWNED, problem_responses
from shared.http.credentials import MaybeShopper
from shared.ranked_products import ranked_products
from shared.reasons import together_reason
from shared.storage.answers.protocol import SIMILAR, bought_together_key
from shared.storage.recommending import bought_together
from shared.storage.recommending.attribution import LoggedAnswer

router = APIRouter()


@router.get(
    "/frequently-bought-together",
    response_model=FrequentlyBoughtTogether,
    response_model_exclude_unset=True,
    responses=OWNED | problem_responses(404),
)
async def list_frequently_bought_together(
    request: Request, user_id: MaybeShopper, query: Annotated[FrequentlyBoughtTogetherQuery, QueryParameters()]
) -> Response:
    """List the products that are bought in the same order as one or several products."""
    context, k, in_stock, explain = query.context, query.k, query.in_stock, query.explain
    if user_id is not None:
        # never stored: each user's answer has an id of its own, under which feedback is counted
        body = await computed(find_bought_together, context, k, in_stock, explain, user_id)
        return fresh(request, body, max_age_s=0, public=False)
    answer = await cached(
        SIMILAR,
        bought_together_key(context, k, in_stock, explain),
        ttl_s=3600,
        compute=lambda: find_bought_together(context, k, in_stock, explain),
    )
    return fresh(request, answer.body, max_age_s=60, is_hit=answer.is_hit)


def find_bought_together(
    context: Sequence[ProductReference], k: int, in_stock: bool, explain: bool, user_id: str | None = None
) -> bytes:
    """Compute the answer in two statements; with a user it is logged and has a recommendation_id.

    Raises ProductNotFound, and InvalidRequest for two ids that are not the same product's.
    """
    resolved, known = bought_together.resolve_context(context)
    log = None if user_id is None else LoggedAnswer(str(uuid7()), user_id, "bought_together", "baskets", None)
    products = bought_together.together(known, k, in_stock=in_stock, log=log)
    if not products and (unknown := next((p for p in resolved if None in p), None)) is not None:
        raise ProductNotFound(f"There is no product {unknown}.")
    ids, external_ids = [p.product_id for p in resolved], [p.external_id for p in resolved]
    answer: dict[str, Any] = {
        "product_id": ids[0] if len(ids) == 1 else ids,
        "external_id": external_ids[0] if len(ids) == 1 else external_ids,
        "products": ranked_products(
            (found.product, found.score, found.measures | ({"reason": together_reason(found)} if explain else {}))
            for found in products
        ),
    }
    if log is not None:
        answer["recommendation_id"] = log.id
    return dump(answer | {"generated_at": datetime.now(UTC)})
