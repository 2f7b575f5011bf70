"""Orders: their states and transitions, and the ids under which their lines count as purchases."""

from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

from shared.errors import OrderStateConflict

# Ids of purchase events and of checkouts are derived under these namespaces: never change them.
PURCHASE_NAMESPACE: Final = UUID("0b7c4f0e-9d0a-4a53-8a9f-6d5a7f3c2e10")
CHECKOUT_NAMESPACE: Final = UUID("c1f6a7b2-53a5-4f0e-8d43-2f7f4f2f9b57")


class OrderState(StrEnum):
    """State of an order.

    * `placed`: stock is reserved and the payment is under way. Lasts seconds.
    * `paid`: the payment is approved. Only now do the lines count as purchases.
    * `shipped`: on its way. Returned pieces are added to the stock by hand, because they may be damaged.
    * `cancelled`: by the shopper, by staff, or for lack of payment. Stock and money are returned.
    * `refunded`: was shipped, and the money was returned.
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
    allowed = " or ".join(sorted(TRANSITIONS[before]))
    remedy = f"it can only be {allowed}" if allowed else "its state is final"
    raise OrderStateConflict(f"The order is {before} and cannot be {after}; {remedy}.", state=before)


def purchase_event_id(order_id: UUID, product_id: int) -> UUID:
    """Return the id of an order line's purchase event, so that the purchase counts once, whoever reports it."""
    return uuid5(PURCHASE_NAMESPACE, f"{order_id}/{product_id}")


def refund_event_id(order_id: UUID) -> UUID:
    """Return the id of the event that refunds an order, the same however often its state is written."""
    return uuid5(PURCHASE_NAMESPACE, f"{order_id}/refund")


def checkout_id(shopper: str, idempotency_key: str) -> UUID:
    """Return the id of a shopper's checkout, the same for every repetition of the request.

    An order keeps it only as long as the key is valid (shared/storage/shopping/checkout.py), so keys may recur later.
    """
    return uuid5(CHECKOUT_NAMESPACE, f"{shopper}\n{idempotency_key}")
