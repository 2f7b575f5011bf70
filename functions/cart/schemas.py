"""Request and response models of the cart function."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from fastapi import Path
from fastapi import Query as InQuery
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.domain.carts import MAX_QUANTITY, MAX_TOTAL, Shortness
from shared.domain.events import ExternalId, printable
from shared.domain.orders import OrderState
from shared.domain.product import Product
from shared.domain.product_references import ProductReference
from shared.domain.quantities import Whole
from shared.http import Cursor, CursorPage, UserQuery
from shared.http.api import problem_responses
from shared.http.parameters import require_one_start

Quantity = Annotated[int, Whole, Field(strict=True, ge=1, le=MAX_QUANTITY, description="Number of pieces.")]
ProductPath = Annotated[int, Path(ge=1, le=2**53 - 1, description="Id of the product.")]
OrderPath = Annotated[UUID, Path(description="Id of the order.")]
# routes whose only query parameter is user_id
OnlyUserQuery = Annotated[UserQuery, InQuery()]

# products that a filter may name, as in GET /products
MAX_NAMED: Final = 100


class ShopperPageQuery(UserQuery):
    """A page of a shopper's list, newest first."""

    page: Annotated[int, Field(ge=1, le=2**31, description="Number of the page, from 1.")] = 1
    page_size: Annotated[int, Field(ge=1, le=100, description="Entries per page.")] = 20
    after: Cursor = None

    @model_validator(mode="after")
    def with_one_start(self) -> Self:
        """Refuse a page number together with a cursor."""
        require_one_start(self.page, self.after)
        return self


class WishlistQuery(ShopperPageQuery):
    """A page of the wishlist, or of those products on it that are named."""

    external_id: Annotated[list[ExternalId], Field(max_length=MAX_NAMED)] = Field(
        [],
        description=f"The shop's own ids of products, one per parameter; at most {MAX_NAMED}. Only those of them that "
        "are on the wishlist are returned.",
    )


class ExternalIdQuery(UserQuery):
    """A product by the shop's own id, which may have slashes."""

    external_id: ExternalId


class NewCartItem(BaseModel):
    """A product to add to the cart. If it is in the cart, the quantity is added."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"product_id": 42, "quantity": 2}]}
    )

    product_id: Annotated[int, Field(strict=True, ge=1, le=2**53 - 1)] | None = Field(
        None, description="Id of the product."
    )
    external_id: ExternalId | None = Field(
        None, description="The shop's own id of the product, instead of `product_id`."
    )
    quantity: Quantity = 1

    @model_validator(mode="after")
    def require_product(self) -> Self:
        """Refuse an item that names no product."""
        ProductReference.required(self.product_id, self.external_id)
        return self


class CartItemPatch(BaseModel):
    """A change of a cart item. To remove it, send DELETE."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"quantity": 3}]})

    quantity: Quantity


class CheckoutRequest(BaseModel):
    """The expected total and the payment of a checkout."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"expected_total": 19.98}]})

    expected_total: Decimal | None = Field(
        None,
        ge=0,
        le=MAX_TOTAL,
        allow_inf_nan=False,
        description="The total that the shopper saw, rounded to the decimals of the currency. 409 if the total has "
        "changed since.",
    )
    payment_token: Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(printable)] | None = (
        Field(
            None,
            description="The token that the storefront got from the payment provider. The built-in test provider "
            "accepts any token; `decline` makes it decline the payment, and `time-out` makes it not answer.",
        )
    )


class OrderStateChange(BaseModel):
    """The new state of an order."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"state": "shipped"}]})

    state: Literal[OrderState.SHIPPED, OrderState.CANCELLED, OrderState.REFUNDED] = Field(description="The new state.")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(printable)] | None = Field(
        None, description="Reason, which the shopper sees."
    )


class CartItem(BaseModel):
    """A product in the cart, at its current price and stock."""

    product: Product = Field(description="The product as it is now.")
    quantity: int = Field(description="Number of pieces.")
    price_when_added: float = Field(description="Unit price when the product was added.")
    price: float = Field(description="Current unit price.")
    line_total: float = Field(description="Current unit price times quantity.")
    added_at: datetime = Field(description="When the product was added.")
    changes: list[Shortness | Literal["price_increased", "price_decreased"]] = Field(
        description="What changed since it was added; empty if it can be bought as it was added."
    )


class Cart(BaseModel):
    """A shopper's cart."""

    items: list[CartItem] = Field(description="The products, oldest first.")
    total: float = Field(description="Total of all items at current prices.")
    item_count: int = Field(description="Number of pieces of all items.")


class OrderItem(BaseModel):
    """A product of an order, as it was when it was ordered."""

    product_id: int = Field(description="Id of the product.")
    external_id: str = Field(description="The shop's own id of the product.")
    name: str = Field(description="Name of the product.")
    variant_title: str | None = Field(description="Size, colour and other options of the variant; null if it had none.")
    quantity: int = Field(description="Number of pieces.")
    price: float = Field(description="Unit price.")
    line_total: float = Field(description="Price times quantity.")
    event_id: UUID = Field(
        description="Id of the purchase event. A storefront that reports the purchase too sends this id, with the same "
        "user, product and quantity, and it counts once."
    )


class Payment(BaseModel):
    """The payment of an order."""

    provider: str = Field(description="Name of the payment provider.")
    state: Literal["pending", "approved", "release_due", "released"] = Field(
        description="`release_due`: the money is to be returned. `released`: it was returned, or never taken."
    )


class OrderStateEntry(BaseModel):
    """A state that the order entered."""

    state: OrderState = Field(description="The state.")
    at: datetime = Field(description="When the order entered it.")
    reason: str | None = Field(description="Reason; null if none was given.")


class Order(BaseModel):
    """An order with its history."""

    id: UUID = Field(description="Id of the order.")
    state: OrderState = Field(description="Current state.")
    items: list[OrderItem] = Field(description="The ordered products.")
    total: float = Field(description="Total of all items.")
    item_count: int = Field(description="Number of pieces of all items.")
    payment: Payment = Field(description="The payment.")
    history: list[OrderStateEntry] = Field(description="The states so far, oldest first.")
    created_at: datetime = Field(description="When the order was placed.")
    updated_at: datetime = Field(description="When its state last changed.")


class OrderPage(CursorPage):
    """A page of orders, newest first."""

    orders: list[Order] = Field(description="The orders of this page.")


class WishlistItem(BaseModel):
    """A product on the wishlist."""

    product: Product = Field(description="The product as it is now.")
    added_at: datetime = Field(description="When the product was added.")


class WishlistPage(CursorPage):
    """A page of the wishlist, newest first."""

    items: list[WishlistItem] = Field(description="The products of this page.")


_STOCK_SHORTAGE: Final[dict[str, Any]] = {
    "type": "object",
    "description": "An item of the cart that cannot be bought as requested.",
    "required": ["product_id", "external_id", "name", "requested", "available", "reason"],
    "properties": {
        "product_id": {"type": "integer", "description": "Id of the product."},
        "external_id": {"type": "string", "description": "The shop's own id of the product."},
        "name": {"type": "string", "description": "Name of the product."},
        "requested": {"type": "integer", "description": "Pieces in the cart."},
        "available": {"type": "integer", "description": "Pieces in stock."},
        "reason": {
            "type": "string",
            "enum": ["unavailable", "out_of_stock", "insufficient_stock"],
            "description": "`unavailable`: no longer sold. `insufficient_stock`: fewer in stock than requested.",
        },
    },
}
_CART_PROBLEM: Final[dict[str, Any]] = {
    "description": "Why the cart does not allow the request. `out-of-stock` and `price-changed` have further members.",
    "allOf": [
        {"$ref": "#/components/schemas/Problem"},
        {
            "type": "object",
            "properties": {
                "lines": {
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/StockShortage"},
                    "description": "Of `out-of-stock`: every item that cannot be bought.",
                },
                "expected_total": {"type": "number", "description": "Of `price-changed`: the total of the request."},
                "total": {"type": "number", "description": "Of `price-changed`: the current total."},
            },
        },
    ],
}
CART_PROBLEM_SCHEMAS: Final = {"CartProblem": _CART_PROBLEM, "StockShortage": _STOCK_SHORTAGE}
# the 409 of routes that check the stock
STOCK_CONFLICT: Final = problem_responses(409, schema="CartProblem")
