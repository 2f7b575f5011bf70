"""GET /trending."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.recommendations.ranked_products import ranked_products
from functions.recommendations.schemas import TrendingProducts, TrendingProductsQuery
from shared.errors import CategoryNotFound
from shared.http import cached, fresh
from shared.http.answers import dump
from shared.http.api import problem_responses
from shared.storage.answers.protocol import TRENDING, trending_key
from shared.storage.recommending import trending

router = APIRouter()


@router.get(
    "/trending", response_model=TrendingProducts, response_model_exclude_unset=True, responses=problem_responses(404)
)
async def list_trending_products(
    request: Request, query: Annotated[TrendingProductsQuery, QueryParameters()]
) -> Response:
    """List trending products: those with most events in the window, where newer events weigh more."""
    answer = await cached(
        TRENDING,
        trending_key(query.window, query.category_id, query.k),
        ttl_s=900,
        compute=lambda: find_trending(query.window, query.category_id, query.k),
    )
    return fresh(request, answer.body, max_age_s=60, is_hit=answer.is_hit)


def find_trending(window: str, category_id: int | None, k: int) -> bytes:
    """Compute the answer. Raises CategoryNotFound."""
    rows = trending.top(window, category_id, k)
    if not rows and category_id is not None and not trending.category_exists(category_id):
        raise CategoryNotFound(f"There is no category {category_id}; GET /products/categories lists them.")
    products = ranked_products((product, score, {"event_count": event_count}) for product, score, event_count in rows)
    return dump({"window": window, "products": products, "generated_at": datetime.now(UTC)})
