"""Request and response models of the preview of a rule that is not saved yet."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from functions.admin.schemas.preview import PreviewedProduct
from functions.admin.schemas.rules import RuleWrite
from shared.domain.comparison import Change
from shared.domain.events import JsonId, StoredUserId
from shared.domain.formula import Repeats


class RuleDraft(BaseModel):
    """A rule to try on the recommendations of a user."""

    model_config = ConfigDict(extra="forbid")

    rule: RuleWrite = Field(description="The rule as it would be saved.")
    rule_id: JsonId | None = Field(None, description="Id of the stored rule that it replaces; null for a new rule.")
    user_id: StoredUserId | None = Field(None, description="Id of the user; null for a new visitor.")
    product_id: JsonId | None = Field(None, description="The product that the user is looking at.")
    k: int = Field(10, ge=1, le=100, description="Number of products to return.")
    in_stock: bool | None = Field(
        None,
        description="`true` returns only products in stock. If omitted, products in stock come first. `false` ignores "
        "stock.",
    )
    repeats: Repeats = Field(
        "exclude", description="Which of the products that the user knows are returned, as in GET /recommendations."
    )


class ComparedPlace(BaseModel):
    """A product in one of the two answers."""

    product: PreviewedProduct = Field(description="The product.")
    place: int = Field(description="Its place in this answer, from 1.")
    other_place: int | None = Field(description="Its place in the other answer; null if it is not there.")
    change: Change = Field(
        description="What the rule does to it. `up` and `down` compare its order among the products of both answers: a "
        "product that makes room for an added one is `same`."
    )


class RulePreview(BaseModel):
    """The recommendations without and with the rule."""

    user_id: str | None = Field(description="Id of the user; null for a new visitor.")
    strategy: Literal["personalized", "trending", "cold_start_category"] = Field(
        description="How the products are chosen."
    )
    changes: bool = Field(description="Whether the rule changes the answer.")
    before: list[ComparedPlace] = Field(description="The current answer.")
    after: list[ComparedPlace] = Field(description="The answer with the rule.")
