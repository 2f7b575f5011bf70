"""A product as the API shows it."""

from datetime import datetime

from pydantic import BaseModel


class Product(BaseModel):
    """A product as it is shown everywhere."""

    id: int
    external_id: str
    name: str
    description: str
    price: float
    image_url: str | None
    category_id: int | None
    category: str | None
    brand: str | None
    tags: list[str]
    quantity: int
    is_active: bool
    views: int
    purchase_count: int
    created_at: datetime
    updated_at: datetime
