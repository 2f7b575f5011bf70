"""Models of what the pages read."""

from typing import Annotated

from pydantic import BaseModel, Field


class SampleCustomer(BaseModel):
    """A customer of the loaded data, whose id may be used to try the shop as them."""

    id: Annotated[str, Field(description="The shop's id of the customer.")]
    events: Annotated[int, Field(ge=1, description="Number of the customer's events.")]


class PageSettings(BaseModel):
    """What the pages need to know of the shop and of this installation. All of it is public."""

    name: Annotated[str, Field(description="Name of the shop; empty until it is set.")]
    currency: Annotated[str | None, Field(description="Currency of prices by ISO 4217; null until it is set.")]
    currency_decimals: Annotated[int, Field(description="Number of decimals of prices.")]
    time_zone: Annotated[str, Field(description="Time zone of the shop, by its name in the IANA database.")]
    language: Annotated[str | None, Field(description="Language of the catalog, as the search uses it.")]
    api: Annotated[str, Field(description="Base address of the API; empty means the page's own origin.")]
    trust_shop_ids: Annotated[
        bool, Field(description="Whether one of the shop's own user ids suffices to act as that user.")
    ]
    shop_as: Annotated[
        list[SampleCustomer] | None,
        Field(
            description="A few customers with a short history; only on a local system where `trust_shop_ids` is true."
        ),
    ] = None
