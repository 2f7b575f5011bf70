"""What goes in and out of the cart function: requests that are checked, answers that are documented."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from shared.domain.carts import MAX_QUANTITY, Shortness
from shared.domain.events import printable
from shared.domain.orders import OrderState
from shared.domain.product import Product
from shared.http import UserQuery
from shared.http.api import PROBLEM

Quantity = Annotated[int, Field(strict=True, ge=1, le=MAX_QUANTITY)]
ProductPath = Annotated[int, Path(ge=1, le=2**53 - 1)]
OrderPath = Annotated[UUID, Path(description="the order's id")]
PageNumber = Annotated[int, Field(ge=1, le=2**31)]
PageSize = Annotated[int, Field(ge=1, le=100)]


class PageOfShopper(UserQuery):
    """A page of what is the shopper's, newest first."""

    page: PageNumber = 1
    page_size: PageSize = 20


class NewItem(BaseModel):
    """What is put into the cart; of a product that is in it already, so many more."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"product_id": 42, "quantity": 2}]}
    )

    product_id: Annotated[int, Field(strict=True, ge=1, le=2**53 - 1)]
    quantity: Quantity = 1


class ItemPatch(BaseModel):
    """How many of a product are to be in the cart. None at all: DELETE it."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"quantity": 3}]})

    quantity: Quantity


class CheckoutRequest(BaseModel):
    """How to buy what is in the cart."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"expected_total": 19.98}]})

    expected_total: Decimal | None = Field(
        None,
        ge=0,
        max_digits=14,
        decimal_places=2,
        allow_inf_nan=False,
        description="the total that the shopper has seen: refused when it is another by now",
    )
    payment_token: Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(printable)] | None = (
        Field(
            None,
            description="what the payment provider gave the storefront; the fake one takes any, `decline` and "
            "`time-out` do what they say",
        )
    )


class StateChange(BaseModel):
    """What an order is to become."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"state": "shipped"}]})

    state: Literal[OrderState.SHIPPED, OrderState.CANCELLED, OrderState.REFUNDED]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(printable)] | None = Field(
        None, description="the shopper sees it"
    )


class CartItem(BaseModel):
    """A line of the cart, at the price and stock of now; ``changes`` since it was added, empty when all is well."""

    product: Product
    quantity: int
    price_when_added: float
    price: float
    line_total: float
    added_at: datetime
    changes: list[Shortness | Literal["price_increased", "price_decreased"]]


class Cart(BaseModel):
    """A shopper's cart, oldest line first. ``total`` is of all lines at the prices of now, ``item_count`` of pieces."""

    items: list[CartItem]
    total: float
    item_count: int


class OrderItem(BaseModel):
    """What was sold, as it was then. ``event_id``: a purchase event with this id counts once, whoever reports it."""

    product_id: int
    external_id: str
    name: str
    quantity: int
    price: float
    line_total: float
    event_id: UUID


class Payment(BaseModel):
    """Where the money is; ``release_due`` is on its way back, ``released`` is back or was never taken."""

    provider: str
    state: Literal["pending", "approved", "release_due", "released"]


class OrderStep(BaseModel):
    """A state that the order came into, and why, where somebody said."""

    state: OrderState
    at: datetime
    reason: str | None


class Order(BaseModel):
    """An order, with its history, oldest first."""

    id: UUID
    state: OrderState
    items: list[OrderItem]
    total: float
    item_count: int
    payment: Payment
    history: list[OrderStep]
    created_at: datetime
    updated_at: datetime


class OrderPage(BaseModel):
    """A page of orders, newest first; ``total`` is exact."""

    orders: list[Order]
    total: int
    page: int
    page_size: int
    total_pages: int


class WishlistItem(BaseModel):
    """A product that the shopper keeps for later."""

    product: Product
    added_at: datetime


class WishlistPage(BaseModel):
    """A page of the wishlist, newest first; ``total`` is exact."""

    items: list[WishlistItem]
    total: int
    page: int
    page_size: int
    total_pages: int


_SHORT_LINE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["product_id", "name", "requested", "available", "reason"],
    "properties": {
        "product_id": {"type": "integer"},
        "name": {"type": "string"},
        "requested": {"type": "integer"},
        "available": {"type": "integer"},
        "reason": {"enum": ["unavailable", "out_of_stock", "insufficient_stock"]},
    },
}
_SHORT: Final[dict[str, Any]] = PROBLEM | {
    "properties": {
        **PROBLEM["properties"],  # type: ignore[dict-item]  # the one mapping of that constant
        "lines": {"type": "array", "items": _SHORT_LINE, "description": "of out-of-stock: every line that is short"},
        "expected_total": {"type": "number", "description": "of price-changed"},
        "total": {"type": "number", "description": "of price-changed: what it is now"},
    }
}
# where stock is asked for
SHORT: Final[dict[int | str, dict[str, Any]]] = {
    409: {"description": "A problem (RFC 9457)", "content": {"application/problem+json": {"schema": _SHORT}}}
}
