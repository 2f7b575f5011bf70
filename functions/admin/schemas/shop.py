"""Request and response models of the shop's settings."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from shared.domain.events import printable
from shared.domain.patches import without_defaults
from shared.domain.shop import CURRENCIES, UnknownProducts
from shared.domain.text import nfc


def known_currency(value: str) -> str:
    """Return an ISO 4217 code; raise ValueError for any other text."""
    if value not in CURRENCIES:
        raise ValueError("must be an ISO 4217 code in capital letters, such as EUR")
    return value


ShopName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(printable), nfc(200)]
Zone = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(printable)]
Currency = Annotated[str, StringConstraints(max_length=3), AfterValidator(known_currency)]
Language = Annotated[str, StringConstraints(pattern="^[a-z_]{1,63}$")]


class Shop(BaseModel):
    """The shop's own settings."""

    name: str = Field(description="Name of the shop; empty until it is set.")
    currency: str | None = Field(description="ISO 4217 code of the currency of all prices; null until it is set.")
    currency_decimals: int = Field(description="Decimals of that currency by ISO 4217; 2 until it is set.")
    time_zone: str = Field(description="IANA time zone in which days begin, in statistics and reports.")
    search_language: str | None = Field(
        description="Language whose stems and stop words the search uses; null compares words as they are (`simple`)."
    )
    unknown_products: UnknownProducts = Field(
        description="What happens to an event of an unknown product: `reject` keeps it among the rejected events, "
        "`stub` creates an inactive product to be completed."
    )
    search_languages: list[str] = Field(description="Values that `search_language` accepts.")
    is_indexing: bool = Field(
        description="Whether products are being re-indexed after a change of `search_language`. Until this ends, the "
        "search uses both languages."
    )


class ShopPatch(BaseModel):
    """The settings to change. Omitted fields stay as they are; null clears an optional field."""

    # The values stand for omitted fields in Python alone; only model_fields_set is written.
    model_config = ConfigDict(extra="forbid", json_schema_extra=without_defaults)

    name: ShopName = Field("", description="Name of the shop.")
    currency: Currency | None = Field(None, description="ISO 4217 code of the currency of all prices.")
    time_zone: Zone = Field("UTC", description="IANA time zone in which days begin.")
    search_language: Language | None = Field(
        None, description="One of `search_languages`. A change re-indexes all products while search keeps working."
    )
    unknown_products: UnknownProducts = Field("reject", description="What happens to an event of an unknown product.")
