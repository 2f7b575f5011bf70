"""The life of an order: its states, which may follow which, and the events by which its lines count as purchases."""

from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

from shared.errors import OrderStateConflict

# event ids of order lines, and ids of checkouts, are derived under these: never change them
PURCHASE_NAMESPACE: Final = UUID("0b7c4f0e-9d0a-4a53-8a9f-6d5a7f3c2e10")
CHECKOUT_NAMESPACE: Final = UUID("c1f6a7b2-53a5-4f0e-8d43-2f7f4f2f9b57")


class OrderState(StrEnum):
    """Where an order is. Stock is taken in ``placed``, ``paid`` and ``shipped``, and given back in ``cancelled``.

    * placed: stock is reserved, the payment is being asked for; lasts seconds
    * paid: the shopper has the order; only now its lines count as purchases
    * shipped: on its way; what comes back is booked into the catalog by hand, for it may be damaged
    * cancelled: given up by the shopper, by support, or because it was not paid; whatever was charged goes back
    * refunded: was shipped, and the money went back
    """

    PLACED = "placed"
    PAID = "paid"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


TRANSITIONS: Final[dict[OrderState, frozenset[OrderState]]] = {
    OrderState.PLACED: frozenset({OrderState.PAID, OrderState.CANCELLED}),
    OrderState.PAID: frozenset({OrderState.SHIPPED, OrderState.CANCELLED}),
    OrderState.SHIPPED: frozenset({OrderState.REFUNDED}),
    OrderState.CANCELLED: frozenset(),
    OrderState.REFUNDED: frozenset(),
}


def check_transition(before: OrderState, after: OrderState) -> None:
    """Raise OrderStateConflict unless an order may go from ``before`` to ``after``."""
    if after in TRANSITIONS[before]:
        return
    allowed = ", ".join(sorted(TRANSITIONS[before])) or "nothing"
    raise OrderStateConflict(f"The order is {before}; from there it can become {allowed}, not {after}.", state=before)


def purchase_event_id(order_id: UUID, product_id: int) -> UUID:
    """Return the id under which an order's line counts as a purchase, once, whoever reports it."""
    return uuid5(PURCHASE_NAMESPACE, f"{order_id}/{product_id}")


def checkout_id(shopper: str, idempotency_key: str) -> UUID:
    """Return the id of a shopper's checkout request: the same for every repetition of it."""
    return uuid5(CHECKOUT_NAMESPACE, f"{shopper}\n{idempotency_key}")
