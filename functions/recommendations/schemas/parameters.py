"""Parameters that several kinds of recommendations have in common."""

from typing import Annotated, Final, Self

from pydantic import BaseModel, Field, model_validator

from shared.domain.category_references import CategoryReference
from shared.http.parameters import CategoryName

MAX_EXCLUDED: Final = 200

CategoryId = Annotated[int, Field(ge=1, le=2**53 - 1)]
InStockFirst = Annotated[
    bool | None,
    Field(
        description="`true` returns only products in stock. If omitted, products in stock come first. `false` ignores "
        "stock."
    ),
]
InStockOnly = Annotated[bool, Field(description="`true` returns only products in stock.")]
Explain = Annotated[bool, Field(description="`true` adds the reason for each product.")]


class CategoryFilter(BaseModel):
    """The fields that restrict an answer to a category: its id, or its path or name."""

    category_id: CategoryId | None = Field(
        None, description="Returns only products of this category and of the categories below it."
    )
    category: CategoryName | None = Field(
        None,
        description="The category by path (`Women > Shoes`) or by name, which several categories may share. Not "
        "case-sensitive.",
    )

    @model_validator(mode="after")
    def require_one_category(self) -> Self:
        """Refuse a category that is named twice."""
        if self.category_id is not None and self.category is not None:
            raise ValueError("Give either category_id or category.")
        return self

    @property
    def category_reference(self) -> CategoryReference:
        """The category of the request."""
        return CategoryReference(self.category_id, self.category)
