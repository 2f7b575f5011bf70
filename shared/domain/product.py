"""A product as every response shows it."""

from datetime import datetime

from pydantic import BaseModel, Field


class Product(BaseModel):
    """A product of the shop."""

    id: int = Field(description="Id of the product.")
    external_id: str = Field(description="The shop's own id, such as a stock code.")
    name: str = Field(description="Name.")
    description: str = Field(description="Description; empty if there is none.")
    price: float = Field(description="Price of a piece.")
    image_url: str | None = Field(description="Address of an image; null if there is none.")
    category_id: int | None = Field(description="Id of the category; null if it has none.")
    category: str | None = Field(description="Name of the category; null if it has none.")
    brand: str | None = Field(description="Brand; null if it has none.")
    tags: list[str] = Field(description="Tags.")
    quantity: int = Field(description="Pieces in stock.")
    is_active: bool = Field(description="Whether the product is shown to shoppers.")
    views: int = Field(description="Number of views.")
    purchase_count: int = Field(description="Number of purchases.")
    created_at: datetime = Field(description="When the product was created.")
    updated_at: datetime = Field(description="When the product last changed.")
