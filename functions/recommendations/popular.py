"""GET /popular."""

from datetime import UTC, datetime
from typing import Annotated

import orjson
from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.recommendations.schemas.popular import PopularProducts, PopularProductsQuery
from shared.errors import DatabaseUnavailable
from shared.http import computed, fresh
from shared.http.answers import dump
from shared.ranked_products import ranked_products
from shared.storage.answers import popular_ranking
from shared.storage.recommending.popular import most_bought

router = APIRouter()


@router.get("/popular", response_model=PopularProducts, response_model_exclude_unset=True)
async def list_popular_products(
    request: Request, query: Annotated[PopularProductsQuery, QueryParameters()]
) -> Response:
    """List the products bought most often. A purchase counts as soon as its event is processed."""
    ranking = await popular_ranking.top(query.k)
    if len(ranking) < query.k:
        # Redis is unavailable or was just emptied, or the shop has fewer products
        try:
            rows = await computed(most_bought, query.k)
            ranking = [(orjson.loads(product), float(purchases)) for _id, purchases, product in rows]
        except DatabaseUnavailable:
            if not ranking:
                raise
    products = ranked_products((product, purchases, {}) for product, purchases in ranking)
    return fresh(request, dump({"products": products, "generated_at": datetime.now(UTC)}), max_age_s=10)
