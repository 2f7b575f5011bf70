"""Request and response models of similar products."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field, model_validator

from functions.recommendations.schemas.parameters import Explain
from functions.recommendations.schemas.ranked_products import RankedProduct
from shared.domain.events import ExternalId, ProductId
from shared.domain.product_references import ProductReference
from shared.http import K, UserQuery
from shared.storage.recommending.similar_products import Kind


class SimilarProductsQuery(UserQuery):
    """The parameters of GET /similar-products. With a user, the answer has a recommendation_id."""

    product_id: ProductId | None = Field(None, description="Id of the product.")
    external_id: ExternalId | None = Field(
        None, description="The shop's own id of the product, instead of `product_id`."
    )
    k: K = 10
    kind: Kind = Field(
        "hybrid",
        description="`collaborative`: products that the same people are interested in. `content`: products with a "
        "similar description. `hybrid`: both, filled up with trending products of the category.",
    )
    explain: Explain = False

    @model_validator(mode="after")
    def require_product(self) -> Self:
        """Refuse a request that names no product."""
        ProductReference.required(self.product_id, self.external_id)
        return self


class SimilarProducts(BaseModel):
    """Products similar to a product, most similar first."""

    product_id: int = Field(description="Id of the product of the request.")
    external_id: str = Field(description="The shop's own id of it.")
    similar_products: list[RankedProduct] = Field(description="The products, most similar first.")
    recommendation_id: str | None = Field(None, description="Given if the request named a user.")
    generated_at: datetime = Field(description="When the answer was computed.")
