"""What a row offers: the price that counts today, the price beside it, and whether the product is in stock."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from shared.tables.values import name_key

# The quantity of a product that is in stock in an unknown number of pieces, which is not counted.
SOME_PIECES: Final = 1
_IN_STOCK_NAMES: Final = (
    "instock available instoreonly onlineonly limitedavailability preorder presale backorder backordered "
    "yes true 1 madetoorder"
)
_IN_STOCK: Final = frozenset(_IN_STOCK_NAMES.split())
_SOLD_OUT: Final = frozenset(["outofstock", "soldout", "unavailable", "discontinued", "reserved", "no", "false", "0"])
# A file or a row that has one of these fields says whether a product is on sale.
SALES: Final = frozenset({"sale_price", "list_price"})
# A file that has one of these fields means other prices at another time.
SALE_DATES: Final = frozenset({"sale_dates", "sale_starts", "sale_ends"})
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
            name, f"is not a time such as 2026-03-01 or 2026-03-01T10:00+01:00; got {text[:40]!r}"
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


def settle(values: dict[str, Any], now: datetime, *, states_sales: bool = False) -> dict[str, Any]:
    """Return a row's values with ``sale_price``, its dates and ``availability`` worked into the product's fields.

    While a sale lasts ``price`` is the sale's and ``list_price`` the usual one. Where a row or its file
    (``states_sales``) tells of sales, a ``list_price`` that is missing or not above the price becomes None, which ends
    an earlier sale. ``availability`` without a quantity makes a stock that is not counted. Raises UnreadableOffer.
    """
    values = dict(values)
    states_sales = states_sales or not values.keys().isdisjoint(SALES)
    starts, ends = values.pop("sale_starts", None), values.pop("sale_ends", None)
    if isinstance(period := values.pop("sale_dates", None), str):
        first, separator, last = period.partition("/")
        if not separator:
            raise UnreadableOffer("sale_dates", f"must be two times with / between them; got {period[:40]!r}")
        starts, ends = first.strip() or None, last.strip() or None
    sale, price = values.pop("sale_price", None), values.get("price")
    if isinstance(sale, str):
        raise UnreadableOffer("sale_price", f"must be a number such as 12.50; got {sale[:40]!r}")
    if sale is not None and _is_on_sale(starts, ends, now):
        if price is None:
            values["price"] = sale
        elif isinstance(price, Decimal | int | float) and sale < price:
            values |= {"price": sale, "list_price": values.get("list_price") or price}
    price, listed = values.get("price"), values.get("list_price")
    are_numbers = isinstance(listed, Decimal | int | float) and isinstance(price, Decimal | int | float)
    if states_sales and (listed is None or (are_numbers and listed <= price)):
        values["list_price"] = None
    availability = values.pop("availability", None)
    if isinstance(availability, str) and availability.strip():
        is_in_stock = _in_stock(availability)
        if values.get("quantity") is None:
            values |= {"quantity": SOME_PIECES if is_in_stock else 0, "stock_counted": False}
        elif not is_in_stock:
            values["quantity"] = 0
    return values
