"""Request and response models of rules."""

from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.domain.events import ExternalId, JsonId, ZonedTime, printable
from shared.domain.patches import all_optional
from shared.domain.rules import Kind
from shared.domain.text import nfc

Name = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(printable), nfc(255)]
Price = Annotated[float, Field(ge=0, le=9_999_999_999, allow_inf_nan=False)]
# lowest and highest factor of each kind that has one, and its default
FACTORS: Final = {"boost": (1.0, 100.0, 2.0), "bury": (0.01, 1.0, 0.5)}


class RuleWrite(BaseModel):
    """A rule for recommendations: an effect, the products it applies to, and a period."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind = Field(
        description="`pin` shows a product at a position, `boost` and `bury` multiply scores, `exclude` hides products."
    )
    product_id: JsonId | None = Field(None, description="Applies to this product.")
    external_id: ExternalId | None = Field(
        None, description="The shop's own id of that product, instead of `product_id`."
    )
    category_id: JsonId | None = Field(
        None, description="Applies to products of the category with this id and its subcategories."
    )
    brand: Name | None = Field(None, description="Applies to products of this brand.")
    tag: Name | None = Field(None, description="Applies to products with this tag.")
    price_min: Price | None = Field(None, description="Applies to products that cost at least this much.")
    price_max: Price | None = Field(None, description="Applies to products that cost at most this much.")
    discount_min: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        None,
        description="Applies to products that are cheaper than their `list_price` by at least this share of it: 0.2 is "
        "20 percent.",
    )
    segment_id: JsonId | None = Field(
        None, description="Applies to users of the segment with this id only; null for all users."
    )
    factor: float | None = Field(
        None,
        ge=0.01,
        le=100,
        allow_inf_nan=False,
        description="Multiplies scores: above 1 for `boost` (2 if omitted), below 1 for `bury` (0.5 if omitted).",
    )
    position: int | None = Field(None, ge=1, le=100, description="Position of a pinned product, from 1.")
    starts_at: ZonedTime | None = Field(None, description="Start of the period; null for at once.")
    ends_at: ZonedTime | None = Field(None, description="End of the period; null for never.")
    active: bool = Field(True, description="`false` suspends the rule.")
    note: Annotated[str, StringConstraints(max_length=500), AfterValidator(printable)] = Field(
        "", description="Text that is shown as the reason where recommendations are explained."
    )

    @model_validator(mode="after")
    def consistent(self) -> Self:
        """Require what the kind needs, refuse what it does not use, and set the default factor."""
        product = self.external_id if self.product_id is None else self.product_id
        selectors = (product, self.category_id, self.brand, self.tag, self.price_min, self.price_max, self.discount_min)
        if all(selector is None for selector in selectors):
            raise ValueError(
                "A rule needs product_id, external_id, category_id, brand, tag, price_min, price_max or discount_min."
            )
        if self.kind == "pin" and (product is None or any(value is not None for value in selectors[1:])):
            raise ValueError("a pin selects one product, by product_id or external_id alone")
        if self.kind == "pin" and self.position is None:
            self.position = 1
        if self.kind != "pin" and self.position is not None:
            raise ValueError("position is for pin only; leave it out")
        if self.kind in FACTORS:
            low, high, default = FACTORS[self.kind]
            if self.factor is None:
                self.factor = default
            if not low <= self.factor <= high or self.factor == 1:
                raise ValueError(f"the factor of a {self.kind} must be from {low:g} to {high:g}, and not 1")
        elif self.factor is not None:
            raise ValueError("factor is for boost and bury only; leave it out")
        if self.price_min is not None and self.price_max is not None and self.price_min > self.price_max:
            raise ValueError("price_min must not be greater than price_max")
        if self.starts_at is not None and self.ends_at is not None and self.starts_at >= self.ends_at:
            raise ValueError("ends_at must be after starts_at")
        return self


class Rule(RuleWrite):
    """A stored rule."""

    id: int = Field(description="Id of the rule.")
    in_force: bool = Field(description="Whether it is active and now is within its period.")
    created_at: datetime = Field(description="When it was created.")
    updated_at: datetime = Field(description="When it last changed.")


class RuleList(BaseModel):
    """All rules, oldest first."""

    rules: list[Rule] = Field(description="The rules.")


class RulePatch(BaseModel):
    """The fields of a rule to change. They are validated with the stored rule's other fields."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra=all_optional(
            RuleWrite,
            "RulePatch",
            "The fields of a rule to change. Omitted fields stay as they are; null clears a field.",
        ),
    )
