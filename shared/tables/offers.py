"""What a row offers: the price that counts today, the price beside it, and whether the product is in stock."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from shared.tables.values import name_key

# Pieces of a product that a shop says it has without saying how many.
SOME_PIECES: Final = 1
_IN_STOCK_NAMES: Final = (
    "instock available instoreonly onlineonly limitedavailability preorder presale backorder backordered "
    "yes true 1 madetoorder"
)
_IN_STOCK: Final = frozenset(_IN_STOCK_NAMES.split())
_SOLD_OUT: Final = frozenset(["outofstock", "soldout", "unavailable", "discontinued", "reserved", "no", "false", "0"])
_ORDER: Final = "in_stock, out_of_stock, preorder, backorder"


class UnreadableOffer(ValueError):
    """A value that cannot be read; ``field`` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def _time(name: str, text: str, *, is_end: bool) -> datetime:
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UnreadableOffer(
            name, f"is no time such as 2026-03-01 or 2026-03-01T10:00+01:00; got {text[:40]!r}"
        ) from None
    if is_end and len(text.strip()) <= 10:
        # a day as the end of a sale belongs to it
        time = time.replace(hour=23, minute=59, second=59)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _is_on_sale(starts: str | None, ends: str | None, now: datetime) -> bool:
    return not (
        (starts and _time("sale_starts", starts, is_end=False) > now)
        or (ends and _time("sale_ends", ends, is_end=True) < now)
    )


def _in_stock(text: str) -> bool:
    # schema.org writes https://schema.org/InStock
    key = name_key(text.rstrip("/").rpartition("/")[2])
    if key in _IN_STOCK or key in _SOLD_OUT:
        return key in _IN_STOCK
    raise UnreadableOffer("availability", f"must be one of {_ORDER}; got {text[:40]!r}")


def settle(values: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Return a row's values with ``sale_price``, its dates and ``availability`` worked into the product's fields.

    While a sale lasts ``price`` is the sale's and ``list_price`` the usual one; a ``list_price`` that is not above the
    price is left out. ``availability`` sets the quantity where none is given, or 0. Raises UnreadableOffer.
    """
    values = dict(values)
    starts, ends = values.pop("sale_starts", None), values.pop("sale_ends", None)
    sale, price = values.pop("sale_price", None), values.get("price")
    if isinstance(sale, str):
        raise UnreadableOffer("sale_price", f"must be a number such as 12.50; got {sale[:40]!r}")
    if sale is not None and _is_on_sale(starts, ends, now):
        if price is None:
            values["price"] = sale
        elif isinstance(price, Decimal | int | float) and sale < price:
            values |= {"price": sale, "list_price": values.get("list_price") or price}
    price, listed = values.get("price"), values.get("list_price")
    if isinstance(listed, Decimal | int | float) and isinstance(price, Decimal | int | float) and listed <= price:
        del values["list_price"]
    availability = values.pop("availability", None)
    if isinstance(availability, str) and availability.strip():
        is_in_stock = _in_stock(availability)
        if not is_in_stock:
            values["quantity"] = 0
        elif values.get("quantity") is None:
            values["quantity"] = SOME_PIECES
    return values
