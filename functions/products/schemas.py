"""Request and response models of the products function."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from shared.domain.events import Text as Line
from shared.domain.events import printable
from shared.domain.product import Product
from shared.domain.text import nfc
from shared.http import Page, Query, UserQuery

MAX_TEXT = 200
MAX_FILTER_TAGS = 20


def split_commas(values: list[str]) -> list[str]:
    """Return the tags of repeated and comma-separated parameters, each once; raise ValueError if there are too many."""
    tags = [tag.strip() for value in values for tag in value.split(",") if tag.strip()]
    if len(tags) > MAX_FILTER_TAGS:
        raise ValueError(f"must be at most {MAX_FILTER_TAGS} tags")
    return list(dict.fromkeys(tags))


Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(printable), nfc(MAX_TEXT)]
SomeText = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_TEXT), AfterValidator(printable), nfc(MAX_TEXT)
]
PriceBound = Annotated[float, Field(ge=0, le=1e10, allow_inf_nan=False)]
PositiveId = Annotated[int, Field(ge=1, le=2**53 - 1)]
Sort = Annotated[
    Literal["relevance", "price_asc", "price_desc", "newest", "popular"],
    Field(description="Order. `relevance` is by match, then popularity; without `search` it is `popular`."),
]


class ProductQuery(UserQuery):
    """Filters, order and page of GET /products. A user's search is added to their search history."""

    search: Text = Field("", description="Words of name, brand, tags, category or description, or a stock code.")
    category: SomeText | None = Field(
        None, description="Name of a category, in any case. Its subcategories are included."
    )
    category_id: PositiveId | None = Field(None, description="Id of a category. Its subcategories are included.")
    min_price: PriceBound | None = Field(None, description="Lowest price.")
    max_price: PriceBound | None = Field(None, description="Highest price.")
    in_stock: bool | None = Field(
        None, description="`true` returns only products in stock, `false` only sold-out products."
    )
    tags: Annotated[list[Text], AfterValidator(split_commas)] = Field(
        [], description="Tags that the products must all have; repeated, or separated by commas."
    )
    sort: Sort = "relevance"
    page: PositiveId = Field(1, description="Number of the page, from 1.")
    page_size: Annotated[int, Field(ge=1, le=100, description="Products per page.")] = 20

    @model_validator(mode="after")
    def ordered(self) -> "ProductQuery":
        """Refuse a price range that contains no price."""
        if self.min_price is not None and self.max_price is not None and self.min_price > self.max_price:
            raise ValueError("min_price must not be greater than max_price")
        return self


class SuggestionQuery(Query):
    """The text typed so far."""

    q: SomeText = Field(description="The text typed so far.")
    k: Annotated[int, Field(ge=1, le=100, description="Maximum number of suggestions.")] = 10


class CategoryFacet(BaseModel):
    """Number of products found in a category, not counting its subcategories."""

    id: int = Field(description="Id of the category.")
    name: str = Field(description="Name of the category.")
    count: int = Field(description="Number of products found.")


class PriceFacet(BaseModel):
    """Number of products found in a price range."""

    min: float = Field(description="Lowest price, included.")
    max: float | None = Field(description="Highest price, included; null for no upper bound.")
    count: int = Field(description="Number of products found.")


class TagFacet(BaseModel):
    """Number of products found with a tag."""

    tag: str = Field(description="The tag.")
    count: int = Field(description="Number of products found.")


class Facets(BaseModel):
    """Numbers of products found, on all pages together."""

    categories: list[CategoryFacet] = Field(description="By category.")
    price_bands: list[PriceFacet] = Field(description="By price.")
    tags: list[TagFacet] = Field(description="By tag: the 20 most frequent.")


class ProductPage(Page):
    """A page of the products found."""

    products: list[Product] = Field(description="The products of this page.")
    facets: Facets = Field(description="Counts over all pages.")
    corrected_query: str | None = Field(
        None, description="The text that was searched for instead, if `search` as typed found nothing."
    )


class Suggestion(BaseModel):
    """A completion of the text."""

    text: str = Field(description="The completed text.")
    kind: Literal["query", "category", "product"] = Field(description="What the text names; `query` is a search.")
    product_id: int | None = Field(None, description="Id of the product, if it is one.")


class SuggestionList(BaseModel):
    """Suggestions of all kinds, best first."""

    suggestions: list[Suggestion] = Field(description="The suggestions.")


class Category(BaseModel):
    """A category."""

    id: int = Field(description="Id of the category.")
    name: str = Field(description="Name of the category.")
    parent_id: int | None = Field(description="Id of the category that contains it; null at the top.")
    product_count: int = Field(description="Number of products in the category and its subcategories.")


class ImportQuery(Query):
    """Format of the file. Omitted values are detected."""

    columns: Line | None = Field(
        None,
        max_length=5000,
        description="FIELD:COLUMN pairs, such as `external_id:Handle,name:Title`. Other columns are then ignored.",
    )
    separator: Line | None = Field(None, max_length=10, description="Separator of a CSV: one character, or `tab`.")
    encoding: Line | None = Field(None, max_length=50, description="Text encoding, such as `windows-1252`.")
    decimal: Line | None = Field(None, max_length=1, description="Decimal mark of a CSV's numbers: `.` or `,`.")
    preset: Line | None = Field(
        None,
        max_length=20,
        description="Whose export the file is: `aisle`, `shopify`, `woocommerce`, `magento`, `prestashop`, `google` or "
        "`jsonld`. Detected by the columns if omitted; with `columns` it is `aisle`.",
    )
    dry_run: bool = Field(
        False, description="`true` stores nothing and returns how the file is read, with its first products."
    )


class RowProblem(BaseModel):
    """Why a row of an import was rejected."""

    row: int = Field(description="Line of the body, from 1; the header of a CSV counts.")
    field: str = Field(description="The invalid field; empty if the row as such is invalid.")
    message: str = Field(description="The rule that the row breaks.")


class LeftOutRows(BaseModel):
    """The rows that were rejected for one reason."""

    reason: str = Field(description="Why the rows were rejected.")
    count: int = Field(description="Number of these rows.")
    rows: list[int] = Field(description="The first five of these rows.")
    example: str | None = Field(None, description="The value of the first of these rows, if there is one to show.")


class RepeatedRow(BaseModel):
    """A row that was not stored because a later row has the same `external_id`."""

    row: int = Field(description="The row that was not stored.")
    external_id: str = Field(description="The repeated id.")
    replaced_by: int = Field(description="The row that was stored instead.")


class ImportReport(BaseModel):
    """Result of an import."""

    created: int = Field(description="Number of products created.")
    updated: int = Field(description="Number of products changed.")
    failed: int = Field(description="Number of rows rejected.")
    errors: list[RowProblem] = Field(description="Why rows were rejected.")
    rows: int = Field(description="Number of rows read.")
    used: int = Field(description="Number of rows that were neither rejected nor replaced by a later row.")
    unchanged: int = Field(description="Number of rows that equal the stored product.")
    repeated: list[RepeatedRow] = Field(description="Rows that a later row of the same `external_id` replaced.")
    left_out: list[LeftOutRows] = Field(description="The rejected rows by reason, the most frequent first.")
    skipped: list[LeftOutRows] = Field(
        description="Rows that are no products by themselves, such as further images, by reason."
    )
    preset: str = Field(description="Whose export the file was read as.")
    columns: dict[str, str] = Field(description="The file's column of each field that was read.")
    ignored_columns: list[str] = Field(description="Columns that were not read.")
    read_as: dict[str, str | None] = Field(
        description="How a CSV was read: its separator, encoding, and decimal mark (null if no number shows one)."
    )
    dry_run: bool = Field(description="Whether nothing was stored.")
    products: list[dict[str, Any]] = Field(description="Of a dry run: the first ten products, as they would be stored.")
