"""Carts: their limits, and the lines that cannot be bought."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

from shared.errors import OutOfStock

MAX_LINES: Final = 200
MAX_QUANTITY: Final = 999
MAX_WISHLIST: Final = 1000
MAX_TOTAL: Final = 10**12

Shortness = Literal["unavailable", "out_of_stock", "insufficient_stock"]


class CartLine(NamedTuple):
    """A product in a cart, with its current price and stock."""

    product_id: int
    external_id: str
    name: str
    price: Decimal
    stock: int
    is_active: bool
    quantity: int
    stock_counted: bool = True
    variant_title: str | None = None

    @property
    def shortness(self) -> Shortness | None:
        """Why this quantity cannot be bought; None if it can. shared/storage/shopping/carts.py says the same in SQL."""
        if not self.is_active:
            return "unavailable"
        if self.stock == 0:
            return "out_of_stock"
        return "insufficient_stock" if self.stock_counted and self.stock < self.quantity else None


def total(lines: Iterable[CartLine]) -> Decimal:
    """Return the total price of the lines."""
    return sum((line.price * line.quantity for line in lines), Decimal(0))


def check_stock(lines: Iterable[CartLine]) -> None:
    """Raise OutOfStock if any line cannot be bought. The error lists every such line."""
    short: list[dict[str, Any]] = [
        {
            "product_id": line.product_id,
            "external_id": line.external_id,
            "name": line.name,
            "requested": line.quantity,
            "available": line.stock if line.is_active else 0,
            "reason": line.shortness,
        }
        for line in lines
        if line.shortness is not None
    ]
    if short:
        names = ", ".join(f"{line['name']} ({line['available']} of {line['requested']})" for line in short[:5])
        more = f" and {len(short) - 5} more" if len(short) > 5 else ""
        raise OutOfStock(f"Not enough in stock: {names}{more}. Change or remove these lines.", lines=short)
