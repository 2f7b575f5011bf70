"""Products as they are written: one model for the API, imports and jobs."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from shared.domain.category_references import CATEGORY_SEPARATOR
from shared.domain.events import ExternalId, ProductId, in_utc, not_a_number, printable
from shared.domain.patches import without_defaults
from shared.domain.pictures import is_picture
from shared.domain.quantities import Whole
from shared.domain.text import nfc
from shared.settings import settings

# The limit that the products table enforces. The number of decimals depends on the currency.
MAX_PRICE: Final = Decimal("9999999999.999")
MAX_TAGS: Final = 50
MAX_CATEGORY_DEPTH: Final = 5
MAX_FURTHER_CATEGORIES: Final = 20
MAX_VARIANT_TITLE: Final = 255
MAX_RATING: Final = Decimal(5)

_URL: Final = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)


def real_number(value: object) -> object:
    """Return a number; raise ValueError for text and booleans, which Pydantic would convert."""
    if value is None or isinstance(value, (str, bytes, bool)):
        raise ValueError("must be a number")
    return value


def web_address(value: str) -> str:
    """Return ``value`` if a browser may load it; raise ValueError for anything but http and https."""
    if not _URL.fullmatch(value):
        raise ValueError("must be an http or https address")
    return value


def category_path(value: str) -> str:
    """Return a category path with stripped parts; raise ValueError for an empty or repeated part or too many parts."""
    parts = [part.strip() for part in value.split(CATEGORY_SEPARATOR)]
    if not all(parts):
        raise ValueError("must name every level, such as 'Home > Candles'")
    if len(parts) > MAX_CATEGORY_DEPTH:
        raise ValueError(f"must have at most {MAX_CATEGORY_DEPTH} levels")
    if len(set(parts)) < len(parts):
        raise ValueError("must not be inside itself")
    return f" {CATEGORY_SEPARATOR} ".join(parts)


def two_decimals(value: Decimal) -> Decimal:
    """Return a rating rounded to the two decimals that are stored."""
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def capital_letters(value: object) -> object:
    """Return a text in upper case; any other value is returned unchanged, for validation to reject."""
    return value.strip().upper() if isinstance(value, str) else value


def distinct(values: list[str]) -> list[str]:
    """Return the distinct values, in order of first occurrence."""
    return list(dict.fromkeys(values))


def _text(least: int, most: int) -> Any:
    return StringConstraints(strip_whitespace=True, min_length=least, max_length=most, strict=True)


Name = Annotated[str, _text(1, 500), AfterValidator(printable), nfc(500), Field(description="Name.")]
Description = Annotated[
    str,
    _text(0, 10_000),
    AfterValidator(printable),
    nfc(10_000),
    BeforeValidator(lambda value: "" if value is None else value),
    Field(description="Description."),
]
Price = Annotated[
    Decimal,
    Field(ge=0, le=MAX_PRICE, decimal_places=3, allow_inf_nan=False, description="Unit price."),
    BeforeValidator(real_number),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": float(MAX_PRICE), "examples": [12.5]}),
]


def no_picture(value: str | None) -> str | None:
    """Return None for the URL of a drawn picture, so that a client can write back what it has read."""
    return None if value is not None and is_picture(value, settings().public_url) else value


ImageUrl = Annotated[str, _text(1, 2000), AfterValidator(printable), AfterValidator(web_address)]
CategoryPath = Annotated[
    str,
    _text(1, 500),
    AfterValidator(printable),
    AfterValidator(category_path),
    nfc(500),
    Field(description="Path of a category, such as `Home > Candles`."),
]
Brand = Annotated[str, _text(1, 200), AfterValidator(printable), nfc(200)]
Tag = Annotated[str, _text(1, 64), AfterValidator(printable), nfc(64)]
Tags = Annotated[
    list[Tag],
    Field(max_length=MAX_TAGS, description="Tags."),
    AfterValidator(distinct),
    BeforeValidator(lambda value: [] if value is None else value),
]
ItemGroupId = Annotated[str, _text(1, 255), AfterValidator(printable), nfc(255)]
VariantTitle = Annotated[str, _text(1, MAX_VARIANT_TITLE), AfterValidator(printable), nfc(MAX_VARIANT_TITLE)]
Currency = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{3}$"), BeforeValidator(capital_letters), Field(examples=["EUR"])
]
Rating = Annotated[
    Decimal,
    Field(ge=0, le=MAX_RATING, allow_inf_nan=False),
    AfterValidator(two_decimals),
    BeforeValidator(real_number),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": float(MAX_RATING), "examples": [4.5]}),
]
ReviewCount = Annotated[int, Whole, Field(ge=0, le=2**31 - 1, strict=True)]
AvailableFrom = Annotated[AwareDatetime, BeforeValidator(not_a_number), AfterValidator(in_utc)]
FurtherCategories = Annotated[
    list[CategoryPath],
    Field(max_length=MAX_FURTHER_CATEGORIES),
    AfterValidator(distinct),
    BeforeValidator(lambda value: [] if value is None else value),
]
Quantity = Annotated[int, Whole, Field(ge=0, le=2**31 - 1, strict=True, description="Pieces in stock.")]
StockCounted = Annotated[
    bool,
    Field(
        strict=True,
        description="`false`: the number of pieces is unknown, a `quantity` above 0 means in stock, and orders do not "
        "reduce it. A `quantity` without this field means `true`.",
    ),
]
Active = Annotated[bool, Field(strict=True, description="`false` hides the product everywhere.")]
Latitude = Annotated[float, BeforeValidator(real_number), Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, BeforeValidator(real_number), Field(ge=-180, le=180, allow_inf_nan=False)]


FURTHER_CATEGORIES: Final = "Paths of further categories, in which filters and facets find the product too."


class _Written(BaseModel):
    """Fields and rules that a new product and a change have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_url: Annotated[ImageUrl | None, AfterValidator(no_picture)] = Field(
        None, description="Address of an image, http or https. The address of a drawn picture counts as null."
    )
    item_group_id: ItemGroupId | None = Field(
        None,
        description="Id of the group of variants, such as all sizes of a shirt. Answers show one product of a group.",
    )
    variant_title: VariantTitle | None = Field(
        None,
        description="Size, colour and other options of a variant, such as `S / Black`, in addition to the name that "
        "all variants share.",
    )
    list_price: Price | None = Field(
        None, description="Price before a discount. The product is on sale if it is above `price`."
    )
    currency: Currency | None = Field(None, description="Currency of the prices, by ISO 4217.")
    average_rating: Rating | None = Field(None, description="Average rating by customers, from 0 to 5.")
    review_count: ReviewCount | None = Field(None, description="Number of ratings or reviews.")
    available_from: AvailableFrom | None = Field(
        None, description="When the product is or was first available, in ISO 8601 with a time zone."
    )
    category: CategoryPath | None = Field(
        None,
        description="Path of the category, which is created if it is new. `Home > Candles` is Candles inside Home. A "
        "name alone means the top-level category of that name, or else the only category of that name.",
    )
    category_id: ProductId | None = Field(None, description="Id of an existing category, instead of `category`.")
    brand: Brand | None = Field(None, description="Brand.")
    latitude: Latitude | None = Field(None, description="Latitude of the product in degrees; requires `longitude`.")
    longitude: Longitude | None = Field(None, description="Longitude of the product in degrees; requires `latitude`.")

    @model_validator(mode="after")
    def consistent(self) -> "_Written":
        """Require latitude and longitude together, and one way to name the category."""
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("give both latitude and longitude, or neither")
        if self.category is not None and self.category_id is not None:
            raise ValueError("give either category or category_id")
        return self


class ProductWrite(_Written):
    """A product to create or import.

    An import of an `external_id` that exists changes that product; omitted fields keep their stored values.
    """

    external_id: ExternalId | None = Field(
        None, description="The shop's own id, such as a stock code. If omitted, generated."
    )
    name: Name
    description: Description = ""
    price: Price
    tags: Tags = []
    further_categories: FurtherCategories = Field([], description=FURTHER_CATEGORIES)
    quantity: Quantity = 0
    stock_counted: StockCounted = True
    is_active: Active = True


class ProductPatch(_Written):
    """The fields of a product to change. Omitted fields keep their values; `null` clears an optional field."""

    # The values stand for omitted fields in Python alone; only model_fields_set is written.
    model_config = ConfigDict(json_schema_extra=without_defaults)

    name: Name = ""
    description: Description = ""
    price: Price = Decimal(0)
    tags: Tags = []
    further_categories: FurtherCategories = Field([], description=FURTHER_CATEGORIES)
    quantity: Quantity = 0
    stock_counted: StockCounted = True
    is_active: Active = True
