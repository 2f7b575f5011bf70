"""Request and response models of feedback."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.domain.events import ExternalId
from shared.domain.product_references import ProductReference


class Feedback(BaseModel):
    """What a user did with a recommended product."""

    model_config = ConfigDict(extra="forbid")

    recommendation_id: UUID = Field(description="The id of the answer that contained the product.")
    product_id: Annotated[int, Field(ge=1, le=2**53 - 1, strict=True)] | None = Field(
        None, description="Id of the product."
    )
    external_id: ExternalId | None = Field(
        None, description="The shop's own id of the product, instead of `product_id`."
    )
    action: Literal["impression", "click", "add_to_cart", "purchase"] = Field(description="What the user did with it.")
    position: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = Field(
        None, description="The position at which the product was shown; 1 is the first."
    )

    @model_validator(mode="after")
    def require_product(self) -> Self:
        """Refuse feedback that names no product."""
        ProductReference.required(self.product_id, self.external_id)
        return self


class FeedbackAccepted(BaseModel):
    """The feedback is stored. Repeated feedback changes nothing."""

    status: Literal["accepted"] = Field(description="Always `accepted`.")
