"""Request and response models of recently viewed products."""

from datetime import datetime

from pydantic import BaseModel, Field

from functions.recommendations.schemas.ranked_products import RankedProduct
from shared.http import K, UserQuery


class RecentlyViewedQuery(UserQuery):
    """The parameters of GET /recently-viewed."""

    k: K = 10


class RecentlyViewedProduct(RankedProduct):
    """A product that the user viewed."""

    viewed_at: datetime = Field(description="The time of the last view.")


class RecentlyViewed(BaseModel):
    """Products that the user viewed, newest first."""

    user_id: str = Field(description="Id of the user.")
    products: list[RecentlyViewedProduct] = Field(description="The products, last viewed first.")
    generated_at: datetime = Field(description="When the answer was computed.")
