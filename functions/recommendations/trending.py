"""GET /trending."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.recommendations.schemas.trending import TrendingProducts, TrendingProductsQuery
from shared.domain.category_references import ANY_CATEGORY, CategoryReference
from shared.http import cached, fresh
from shared.http.answers import dump
from shared.http.api import problem_responses
from shared.ranked_products import ranked_products
from shared.storage.answers.protocol import TRENDING, trending_key
from shared.storage.recommending import trending

router = APIRouter()


@router.get(
    "/trending", response_model=TrendingProducts, response_model_exclude_unset=True, responses=problem_responses(404)
)
async def list_trending_products(
    request: Request, query: Annotated[TrendingProductsQuery, QueryParameters()]
) -> Response:
    """List trending products: those with the most events in the window. Newer events weigh more."""
    answer = await cached(
        TRENDING,
        trending_key(query.window, query.category_reference, query.k),
        ttl_s=900,
        compute=lambda: find_trending(query.window, query.category_reference, query.k),
    )
    return fresh(request, answer.body, max_age_s=60, is_hit=answer.is_hit)


def find_trending(window: str, category: CategoryReference, k: int) -> bytes:
    """Compute the answer. Raises CategoryNotFound."""
    rows = trending.top(window, category, k)
    if not rows and category != ANY_CATEGORY and not trending.category_exists(category):
        raise category.not_found()
    products = ranked_products((product, score, {"event_count": event_count}) for product, score, event_count in rows)
    return dump({"window": window, "products": products, "generated_at": datetime.now(UTC)})
