"""A product as every response shows it."""

from datetime import datetime

from pydantic import BaseModel, Field


class Product(BaseModel):
    """A product of the shop."""

    id: int = Field(description="Id of the product.")
    external_id: str = Field(description="The shop's own id, such as a stock code.")
    item_group_id: str | None = Field(description="Id of the group of variants; null if it is in none.")
    name: str = Field(description="Name.")
    variant_title: str | None = Field(
        description="Size, colour and other options of a variant, such as `S / Black`; null if there are none."
    )
    description: str = Field(description="Description; empty if there is none.")
    price: float = Field(description="Unit price.")
    list_price: float | None = Field(description="Price before a discount; null if there is none.")
    currency: str | None = Field(description="Currency of the prices; null for the shop's own.")
    image_url: str | None = Field(
        description="Address of an image: the product's own, or else of a drawn picture. Null where none is served."
    )
    category_id: int | None = Field(description="Id of the category; null if it has none.")
    category: str | None = Field(description="Name of the category; null if it has none.")
    category_path: str | None = Field(
        description="Path of the category, such as `Home > Candles`; null if it has none."
    )
    further_categories: list[str] = Field(description="Paths of further categories, for filters and facets.")
    brand: str | None = Field(description="Brand; null if it has none.")
    tags: list[str] = Field(description="Tags.")
    quantity: int = Field(description="Pieces in stock.")
    stock_counted: bool = Field(
        description="`false`: `quantity` only says whether the product is in stock (above 0) or not."
    )
    is_active: bool = Field(description="Whether the product is shown to shoppers.")
    available_from: datetime | None = Field(description="When it is or was first available; null if unknown.")
    average_rating: float | None = Field(description="Average rating, from 0 to 5; null if unknown.")
    review_count: int | None = Field(description="Number of ratings or reviews; null if unknown.")
    latitude: float | None = Field(description="Latitude of the product in degrees; null if unknown.")
    longitude: float | None = Field(description="Longitude of the product in degrees; null if unknown.")
    views: int = Field(description="Number of views.")
    purchase_count: int = Field(description="Number of purchases.")
    created_at: datetime = Field(description="When the product was created.")
    updated_at: datetime = Field(description="When the product last changed.")
