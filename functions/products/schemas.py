"""What goes in and out of the products function: parameters that are checked, answers that are documented."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from shared.domain.events import printable
from shared.domain.product import Product
from shared.http import K, Query, UserQuery

MAX_TEXT = 200
MAX_FILTER_TAGS = 20


def split_commas(values: list[str]) -> list[str]:
    """Return the tags of repeated and comma-separated parameters, each once."""
    tags = [tag.strip() for value in values for tag in value.split(",") if tag.strip()]
    if len(tags) > MAX_FILTER_TAGS:
        raise ValueError(f"at most {MAX_FILTER_TAGS} tags")
    return list(dict.fromkeys(tags))


Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(printable)]
SomeText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT), AfterValidator(printable)]
Bound = Annotated[float, Field(ge=0, le=1e10, allow_inf_nan=False)]
PositiveId = Annotated[int, Field(ge=1, le=2**53 - 1)]
Sort = Annotated[
    Literal["relevance", "price_asc", "price_desc", "newest", "popular"],
    Field(description="relevance: by match, then popularity; without a search the same as popular"),
]


class ProductQuery(UserQuery):
    """Filters, order and page of GET /products. All that are given apply. A user's search is kept in their history."""

    search: Text = Field("", description="words of name, brand, tags, category, description, or a stock code")
    category: SomeText | None = Field(None, description="by name, whatever its case, with the categories below it")
    category_id: PositiveId | None = Field(None, description="with the categories below it")
    min_price: Bound | None = None
    max_price: Bound | None = None
    in_stock: bool | None = Field(None, description="true: only what is in stock; false: only what is sold out")
    tags: Annotated[list[Text], AfterValidator(split_commas)] = Field(
        [], description="products that have all of these; repeated, or separated by commas"
    )
    sort: Sort = "relevance"
    page: PositiveId = 1
    page_size: Annotated[int, Field(ge=1, le=100)] = 20

    @model_validator(mode="after")
    def ordered(self) -> "ProductQuery":
        """Refuse a price range that nothing can be in."""
        if self.min_price is not None and self.max_price is not None and self.min_price > self.max_price:
            raise ValueError("min_price must not be greater than max_price")
        return self


class SuggestQuery(Query):
    """What has been typed so far."""

    q: SomeText
    k: K = 10


class NoQuery(Query):
    """No parameters: whatever is given is refused."""


class CategoryFacet(BaseModel):
    """How many of the found products are in a category (itself, not those below it)."""

    id: int
    name: str
    count: int


class PriceBand(BaseModel):
    """How many of the found products cost from ``min`` to ``max``, both included; no ``max``: or more."""

    min: float
    max: float | None
    count: int


class TagFacet(BaseModel):
    """How many of the found products have a tag; the 20 most frequent tags are counted."""

    tag: str
    count: int


class Facets(BaseModel):
    """Counts over everything that was found, on all pages."""

    categories: list[CategoryFacet]
    price_bands: list[PriceBand]
    tags: list[TagFacet]


class ProductPage(BaseModel):
    """One page of what was found; ``total`` is exact. A page beyond the end is empty."""

    products: list[Product]
    total: int
    page: int
    page_size: int
    total_pages: int
    facets: Facets
    corrected_query: str | None = Field(
        None, description="only where the search found nothing as it was typed: what was searched for instead"
    )


class Suggestion(BaseModel):
    """Something to complete what is being typed; a product comes with its id."""

    text: str
    kind: Literal["query", "category", "product"]
    product_id: int | None = Field(None, description="only of a product")


class Suggestions(BaseModel):
    """Best first: queries, categories, products."""

    suggestions: list[Suggestion]


class Category(BaseModel):
    """A category and how many products are in it or below it."""

    id: int
    name: str
    parent_id: int | None
    product_count: int
