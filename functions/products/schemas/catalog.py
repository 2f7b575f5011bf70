"""Request and response models of the products function."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from shared.domain.events import ExternalId, printable
from shared.domain.events import Text as Line
from shared.domain.product import Product
from shared.domain.text import nfc
from shared.http import Cursor, CursorPage, Query, UserQuery
from shared.http.parameters import CategoryName, require_one_start
from shared.storage.catalog import product_pages

MAX_TEXT = 200
MAX_FILTER_TAGS = 20
MAX_PAGE = 100


def split_commas(values: list[str]) -> list[str]:
    """Return the tags of repeated and comma-separated parameters, each once; raise ValueError if there are too many."""
    tags = [tag.strip() for value in values for tag in value.split(",") if tag.strip()]
    if len(tags) > MAX_FILTER_TAGS:
        raise ValueError(f"must be at most {MAX_FILTER_TAGS} tags")
    return list(dict.fromkeys(tags))


Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(printable), nfc(MAX_TEXT)]
ExternalIds = Annotated[list[ExternalId], Field(max_length=MAX_PAGE)]
SomeText = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_TEXT), AfterValidator(printable), nfc(MAX_TEXT)
]
PriceBound = Annotated[float, Field(ge=0, le=1e10, allow_inf_nan=False)]
PositiveId = Annotated[int, Field(ge=1, le=2**53 - 1)]
Sort = Annotated[
    product_pages.Sort,
    Field(
        description="Order. `relevance` is by match, then popularity; without `search` it is `popular`. `distance` is "
        "from `latitude` and `longitude`, products without a location last."
    ),
]


class ProductQuery(UserQuery):
    """Filters, order and page of GET /products. A user's search is added to their search history."""

    search: Text = Field("", description="Words of name, brand, tags, category or description, or a stock code.")
    category: CategoryName | None = Field(
        None,
        description="Path of a category (`Women > Shoes`), or a name, which several categories may share; not "
        "case-sensitive. Subcategories are included.",
    )
    category_id: PositiveId | None = Field(None, description="Id of a category. Its subcategories are included.")
    min_price: PriceBound | None = Field(None, description="Lowest price.")
    max_price: PriceBound | None = Field(None, description="Highest price.")
    in_stock: bool | None = Field(
        None, description="`true` returns only products in stock, `false` only sold-out products."
    )
    on_sale: bool | None = Field(
        None, description="`true` returns only products whose `list_price` is above their `price`, `false` the others."
    )
    min_rating: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)] | None = Field(
        None, description="Lowest average rating. Products without ratings are left out."
    )
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)] | None = Field(
        None, description="Latitude of the user in degrees; requires `longitude`. Each product then has `distance_km`."
    )
    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)] | None = Field(
        None, description="Longitude of the user in degrees; requires `latitude`."
    )
    max_distance_km: Annotated[float, Field(gt=0, le=20_100, allow_inf_nan=False)] | None = Field(
        None, description="Greatest distance from `latitude` and `longitude`. Products without a location are left out."
    )
    external_id: ExternalIds = Field(
        [], description=f"The shop's own ids of the products to return, one per parameter; at most {MAX_PAGE}."
    )
    variants: product_pages.Variants = Field(
        "one",
        description="`one` returns one product of each `item_group_id`: the first matching one by `sort`, products in "
        "stock before others. `all` returns every product. With `external_id`, exactly the named products are "
        "returned.",
    )
    tags: Annotated[list[Text], AfterValidator(split_commas)] = Field(
        [], description="Tags, all of which a product must have; repeated, or separated by commas."
    )
    tag: list[Text] = Field(
        [],
        max_length=MAX_FILTER_TAGS,
        description="Further tags that a product must have, one per parameter. Here a tag may contain commas.",
    )
    sort: Sort = "relevance"
    page: PositiveId = Field(1, description="Number of the page, from 1.")
    page_size: Annotated[int, Field(ge=1, le=100, description="Products per page.")] = 20
    after: Cursor = None

    @model_validator(mode="after")
    def with_one_start(self) -> Self:
        """Refuse a page number together with a cursor."""
        require_one_start(self.page, self.after)
        return self

    @model_validator(mode="after")
    def with_few_tags(self) -> Self:
        """Refuse too many tags."""
        if len(self.all_tags) > MAX_FILTER_TAGS:
            raise ValueError(f"tags and tag must have at most {MAX_FILTER_TAGS} values together")
        return self

    @property
    def all_tags(self) -> tuple[str, ...]:
        """The tags of `tags` and `tag`, each once."""
        return tuple(dict.fromkeys([*self.tags, *self.tag]))

    @model_validator(mode="after")
    def ordered(self) -> Self:
        """Refuse a price range that contains no price."""
        if self.min_price is not None and self.max_price is not None and self.min_price > self.max_price:
            raise ValueError("min_price must not be greater than max_price")
        return self

    @model_validator(mode="after")
    def with_place(self) -> Self:
        """Refuse a single coordinate, and distances without a place to measure them from."""
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("give both latitude and longitude, or neither")
        if self.latitude is None and (self.max_distance_km is not None or self.sort == "distance"):
            raise ValueError("max_distance_km and sort=distance need latitude and longitude")
        return self


class SuggestionQuery(Query):
    """The text typed so far."""

    q: SomeText = Field(description="The text typed so far.")
    k: Annotated[int, Field(ge=1, le=100, description="Maximum number of suggestions.")] = 10


class CategoryFacet(BaseModel):
    """Number of products found in a category, not counting its subcategories."""

    id: int = Field(description="Id of the category.")
    name: str = Field(description="Name of the category.")
    path: str = Field(description="Path of the category, such as `Women > Shoes`.")
    count: int = Field(description="Number of products found.")


class PriceFacet(BaseModel):
    """Number of products found in a price range."""

    min: float = Field(description="Lowest price, inclusive, in whole units of the currency.")
    max: float | None = Field(description="Highest price, inclusive; null for no upper bound.")
    count: int = Field(description="Number of products found.")


class TagFacet(BaseModel):
    """Number of products found with a tag."""

    tag: str = Field(description="The tag.")
    count: int = Field(description="Number of products found.")


class Facets(BaseModel):
    """Numbers of products found, on all pages together.

    A group of variants counts once for each value of its matching variants. With `variants=all`, each variant counts.
    """

    categories: list[CategoryFacet] = Field(description="By category.")
    price_bands: list[PriceFacet] = Field(description="By price.")
    tags: list[TagFacet] = Field(description="By tag: the 20 most frequent.")


class FoundProduct(Product):
    """A product of a page."""

    distance_km: float | None = Field(
        None,
        description="Distance from `latitude` and `longitude` of the request; null for a product without a location.",
    )


class ExternalIdQuery(Query):
    """A product by the shop's own id, which may have slashes."""

    external_id: ExternalId


class ProductPage(CursorPage):
    """A page of the products found."""

    products: list[FoundProduct] = Field(description="The products of this page.")
    facets: Facets = Field(description="Counts over all pages.")
    corrected_query: str | None = Field(
        None, description="The text that was searched for instead, if `search` as typed found nothing."
    )


class Suggestion(BaseModel):
    """A completion of the text."""

    text: str = Field(description="The completed text.")
    kind: Literal["query", "category", "product"] = Field(description="What the text names; `query` is a search.")
    product_id: int | None = Field(None, description="Id of the product, if it is one.")
    external_id: str | None = Field(None, description="The shop's own id of the product, if it is one.")


class SuggestionList(BaseModel):
    """Suggestions of all kinds, best first."""

    suggestions: list[Suggestion] = Field(description="The suggestions.")


class Category(BaseModel):
    """A category."""

    id: int = Field(description="Id of the category.")
    name: str = Field(description="Name of the category.")
    path: str = Field(description="Path of the category, such as `Women > Shoes`.")
    parent_id: int | None = Field(description="Id of the parent category; null for a top-level category.")
    product_count: int = Field(description="Number of products in the category and its subcategories.")


class ImportQuery(Query):
    """Format of the file. Omitted values are detected."""

    columns: Line | None = Field(
        None,
        max_length=5000,
        description="FIELD:COLUMN pairs, such as `external_id:Handle,name:Title`. Other columns are then ignored.",
    )
    separator: Line | None = Field(None, max_length=10, description="Separator of a CSV file: one character, or `tab`.")
    encoding: Line | None = Field(None, max_length=50, description="Text encoding of the file, such as `windows-1252`.")
    decimal: Line | None = Field(
        None, max_length=1, description="Decimal mark of the numbers in a CSV file: `.` or `,`."
    )
    preset: Line | None = Field(
        None,
        max_length=20,
        description="System that exported the file: `aisle`, `shopify`, `woocommerce`, `magento`, `prestashop`, "
        "`google` or `jsonld`. Detected from the columns if omitted; with `columns` it is `aisle`.",
    )
    dry_run: bool = Field(
        False, description="`true` stores nothing: the response says how the file is read and shows its first products."
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


class ImportedProduct(BaseModel):
    """The product of a row."""

    row: int = Field(description="Line of the body, from 1.")
    product_id: int = Field(description="Id of the product.")
    external_id: str = Field(description="The shop's own id; generated if the row has none.")


class ImportReport(BaseModel):
    """Result of an import."""

    created: int = Field(description="Number of products created.")
    updated: int = Field(description="Number of products changed.")
    failed: int = Field(description="Number of rows rejected.")
    errors: list[RowProblem] = Field(description="Why rows were rejected.")
    rows: int = Field(description="Number of rows read.")
    used: int = Field(description="Number of rows that were neither rejected nor replaced by a later row.")
    unchanged: int = Field(description="Number of rows that equal the stored product.")
    repeated: list[RepeatedRow] = Field(description="Rows that a later row with the same `external_id` replaced.")
    products: list[ImportedProduct] = Field(description="The products of the rows that are used, with both ids.")
    left_out: list[LeftOutRows] = Field(description="The rejected rows by reason, the most frequent first.")
    skipped: list[LeftOutRows] = Field(
        description="Rows that are not products in themselves, such as further images, by reason."
    )
    preset: str = Field(description="The system whose export format was assumed.")
    columns: dict[str, str] = Field(description="For each field that was read, its column in the file.")
    ignored_columns: list[str] = Field(description="Columns that were not read.")
    read_as: dict[str, str | None] = Field(
        description="How a CSV was read: its separator, encoding, and decimal mark (null if no number shows one)."
    )
    dry_run: bool = Field(description="Whether nothing was stored.")
    preview: list[dict[str, Any]] = Field(description="Of a dry run: the first ten products, as they would be stored.")
