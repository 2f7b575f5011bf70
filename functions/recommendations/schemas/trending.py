"""Request and response models of trending products."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from functions.recommendations.schemas.parameters import CategoryFilter
from functions.recommendations.schemas.ranked_products import RankedProduct
from shared.http import K, Query


class TrendingProductsQuery(CategoryFilter, Query):
    """The parameters of GET /trending."""

    window: Literal["7d", "30d"] = Field("7d", description="The last 7 or 30 days.")
    k: K = 10


class TrendingProduct(RankedProduct):
    """A trending product."""

    event_count: int = Field(description="The number of events of the window.")


class TrendingProducts(BaseModel):
    """Trending products, best first."""

    window: Literal["7d", "30d"] = Field(description="The last 7 or 30 days.")
    products: list[TrendingProduct] = Field(description="The products, best first.")
    generated_at: datetime = Field(description="When the answer was computed.")
