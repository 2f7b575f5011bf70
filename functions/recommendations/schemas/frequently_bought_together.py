"""Request and response models of products that are bought together."""

from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import BaseModel, Field, model_validator

from functions.recommendations.schemas.parameters import Explain, InStockOnly
from functions.recommendations.schemas.ranked_products import RankedProduct
from shared.domain.events import ExternalId
from shared.domain.product_references import ProductReference
from shared.http import K, UserQuery
from shared.http.parameters import id_list, ids_in

MAX_CONTEXT: Final = 20


class FrequentlyBoughtTogetherQuery(UserQuery):
    """The parameters of GET /frequently-bought-together. With a user, the answer has a recommendation_id."""

    product_id: Annotated[str, id_list(MAX_CONTEXT)] = Field(
        "",
        description="The id of a product, or the ids of several, such as those in a cart, separated by commas; at most "
        f"{MAX_CONTEXT}.",
    )
    external_id: Annotated[list[ExternalId], Field(max_length=MAX_CONTEXT)] = Field(
        [], description=f"The shop's own ids of these products, one per parameter; at most {MAX_CONTEXT}."
    )
    k: K = 10
    in_stock: InStockOnly = False
    explain: Explain = False

    @model_validator(mode="after")
    def require_products(self) -> Self:
        """Refuse a request without products, and lists of both kinds of ids."""
        ids, external_ids = ids_in(self.product_id, MAX_CONTEXT), self.external_id
        if not ids and not external_ids:
            raise ValueError("give product_id or external_id")
        if ids and external_ids and (len(ids) > 1 or len(external_ids) > 1):
            raise ValueError("name several products by product_id or by external_id, not by both")
        return self

    @property
    def context(self) -> list[ProductReference]:
        """The products of the request, each once."""
        ids, external_ids = ids_in(self.product_id, MAX_CONTEXT), list(dict.fromkeys(self.external_id))
        if ids and external_ids:
            return [ProductReference(ids[0], external_ids[0])]
        return [*map(ProductReference, ids), *(ProductReference(None, external_id) for external_id in external_ids)]


class FrequentlyBoughtTogetherProduct(RankedProduct):
    """A product bought together with those given; its measures refer to the given product with the highest score."""

    lift: float = Field(
        description="How many times more often both are bought together than if they were independent; above 1."
    )
    confidence: float = Field(
        description="The share of the orders with the requested product that also contain this one."
    )
    count: int = Field(description="The number of orders that contain both.")


class FrequentlyBoughtTogether(BaseModel):
    """Products bought together with the requested ones, best first."""

    product_id: int | list[int | None] | None = Field(
        description="Id of the requested product; a list if the request named several. Null for a product that does "
        "not exist."
    )
    external_id: str | list[str | None] | None = Field(
        description="The shop's own ids of the products, in the same form as `product_id`."
    )
    products: list[FrequentlyBoughtTogetherProduct] = Field(description="The products, best first.")
    recommendation_id: str | None = Field(None, description="Given if the request named a user.")
    generated_at: datetime = Field(description="When the answer was computed.")
