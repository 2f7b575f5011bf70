"""Request and response models of popular products."""

from datetime import datetime

from pydantic import BaseModel, Field

from functions.recommendations.schemas.ranked_products import RankedProduct
from shared.http import K, Query


class PopularProductsQuery(Query):
    """The parameters of GET /popular."""

    k: K = 10


class PopularProducts(BaseModel):
    """The products bought most often; the score is the number of purchases."""

    products: list[RankedProduct] = Field(description="The products, best first.")
    generated_at: datetime = Field(description="When the answer was computed.")
