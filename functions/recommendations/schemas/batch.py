"""Request and response models of recommendations for several users."""

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from functions.recommendations.schemas.parameters import MAX_EXCLUDED, CategoryFilter, InStockFirst
from functions.recommendations.schemas.recommendations import Recommendations
from shared.domain.events import ExternalId, JsonId, UserId
from shared.domain.formula import Repeats
from shared.domain.product_references import ProductReference

MAX_BATCH_USERS: Final = 100
# bounds a batch at 2,000 products
MAX_BATCH_K: Final = 20


class RecommendationsBatchRequest(CategoryFilter):
    """Recommendations for several users."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user_ids: list[UserId] = Field(min_length=1, max_length=MAX_BATCH_USERS, description="Ids of the users, each once.")
    k: int = Field(10, ge=1, le=MAX_BATCH_K, description="Maximum number of products for each user.")
    repeats: Repeats = Field("exclude", description="Which of the products that a user knows are returned.")
    exclude: list[JsonId] = Field([], max_length=MAX_EXCLUDED, description="Ids of products not to return.")
    exclude_external: list[ExternalId] = Field(
        [], max_length=MAX_EXCLUDED, description="The shop's own ids of products not to return."
    )
    in_stock: InStockFirst = None

    @model_validator(mode="after")
    def require_each_user_once(self) -> Self:
        """Refuse a user that is named twice."""
        if len(set(self.user_ids)) < len(self.user_ids):
            raise ValueError("user_ids must name each user only once.")
        return self

    @property
    def excluded(self) -> list[ProductReference]:
        """Products not to return."""
        return [
            *map(ProductReference, self.exclude),
            *(ProductReference(None, external_id) for external_id in self.exclude_external),
        ]


class RecommendationsBatch(BaseModel):
    """Recommendations for each user of the request, in its order."""

    answers: list[Recommendations] = Field(description="The answers, one for each user.")
