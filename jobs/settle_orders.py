"""Job, every minute: give up orders that a crash left unpaid, and release payments that are due to go back."""

from typing import Any, Final

from shared.clients.postgres import transaction
from shared.job import Parameters, job
from shared.payments.releasing import release_due
from shared.storage.answers import invalidation
from shared.storage.events import outbox
from shared.storage.shopping import orders

# longer than a checkout may take, and than its Idempotency-Key is held by a run that crashed: who repeats the request
# before this gets the order paid
ABANDONED_S: Final = 120
BATCH: Final = 100


class SettleOrders(Parameters):
    """Nothing to choose."""


@job
def settle_orders(_parameters: SettleOrders) -> dict[str, Any]:
    """Cancel what was never paid, with its stock and cart given back; tell the provider what not to charge."""
    given_up = 0
    # each in a transaction of its own: one that fails holds up no other, and products are locked for one order only
    for order_id in orders.abandoned(ABANDONED_S, BATCH):
        with transaction() as connection:
            moved = orders.give_up(connection, order_id, "payment never confirmed", charged=True)
        if moved is not None:
            given_up += 1
            invalidation.forget_products(moved.products)
            outbox.publish_now(moved.outbox)
    released, answered = release_due(BATCH)
    return {"given_up": given_up, "released": released, "provider_answered": answered}
