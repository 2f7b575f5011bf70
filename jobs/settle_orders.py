"""Job, every minute: cancel orders that a crash left unpaid, and release the payments that are due."""

from typing import Any, Final

from shared.clients.postgres import transaction
from shared.job import Parameters, job
from shared.payments.releasing import release_due
from shared.storage.answers import invalidation
from shared.storage.events import outbox
from shared.storage.shopping import orders

# seconds: longer than a checkout takes, and than a crashed request holds its Idempotency-Key, so that a client that
# repeats the request in time still gets the order paid
ABANDONED_S: Final = 120
BATCH: Final = 100


class SettleOrders(Parameters):
    """No parameters."""


@job
def settle_orders(_parameters: SettleOrders) -> dict[str, Any]:
    """Cancel abandoned orders, restoring stock and cart, and have the payment provider release their payments.

    Returns the numbers of orders cancelled and payments released, and whether the provider answered.
    """
    cancelled = 0
    # a transaction per order: a failure does not hold up the others, and locks on products are short
    for order_id in orders.list_abandoned(ABANDONED_S, BATCH):
        with transaction() as connection:
            moved = orders.give_up(connection, order_id, "payment never confirmed", charged=True)
        if moved is not None:
            cancelled += 1
            invalidation.forget_products(moved.products)
            outbox.publish_now(moved.outbox)
    released, answered = release_due(BATCH)
    return {"given_up": cancelled, "released": released, "provider_answered": answered}
