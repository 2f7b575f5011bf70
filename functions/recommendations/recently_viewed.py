"""GET /recently-viewed."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.responses import Response

from functions.recommendations.schemas.recently_viewed import RecentlyViewed, RecentlyViewedQuery
from shared.http import computed, private
from shared.http.answers import dump
from shared.http.api import OWNED
from shared.http.credentials import NamedShopper
from shared.ranked_products import ranked_products
from shared.storage.recommending import recently_viewed

router = APIRouter()


@router.get("/recently-viewed", response_model=RecentlyViewed, response_model_exclude_unset=True, responses=OWNED)
async def list_recently_viewed(
    user_id: NamedShopper, query: Annotated[RecentlyViewedQuery, QueryParameters()]
) -> Response:
    """List the products that a user viewed, newest first."""
    return private(await computed(find_viewed, user_id, query.k))


def find_viewed(user_id: str, k: int) -> bytes:
    """Compute the answer."""
    products = ranked_products(
        (product, 0.0, {"viewed_at": viewed_at}) for product, viewed_at in recently_viewed.read(user_id, k)
    )
    return dump({"user_id": user_id, "products": products, "generated_at": datetime.now(UTC)})
