"""Job, every minute: cancel orders that a crash left unpaid, release the payments that are due, settle refunds."""

from typing import Any, Final

from shared.clients.postgres import transaction
from shared.job import Parameters, job
from shared.payments.releasing import release_due
from shared.storage.answers import invalidation, popular_ranking
from shared.storage.events import outbox, refunds
from shared.storage.shopping import orders

# seconds: longer than a checkout takes, and longer than a crashed request holds its Idempotency-Key, so that a client
# that repeats the request in time still gets its order paid
ABANDONED_S: Final = 120
BATCH: Final = 100
# more than a client can report in the same time, so that refunds without an order do not pile up
REJECTED_BATCH: Final = 100_000


class SettleOrders(Parameters):
    """No parameters."""


@job
def settle_orders(_parameters: SettleOrders) -> dict[str, Any]:
    """Cancel abandoned orders, restore stock and carts, and have the payment provider release their payments.

    Refunds that waited for their order are settled, and rejected after REFUND_WAIT. Returns the numbers of orders
    cancelled, payments released, refunds settled and rejected, and whether the provider answered.
    """
    cancelled = 0
    # one transaction per order: a failure does not hold up the others, and products are locked only briefly
    for order_id in orders.list_abandoned(ABANDONED_S, BATCH):
        with transaction() as connection:
            moved = orders.give_up(connection, order_id, "payment never confirmed", charged=True)
        if moved is not None:
            cancelled += 1
            invalidation.forget_products(moved.products)
            outbox.publish_now(moved.outbox)
    released, answered = release_due(BATCH)
    overdue = refunds.list_overdue(BATCH)
    for user_id, waiting_id in overdue:
        changes = refunds.settle(user_id, [waiting_id])
        invalidation.forget_users([user_id])
        popular_ranking.count_purchases(changes)
    return {
        "given_up": cancelled,
        "released": released,
        "provider_answered": answered,
        "refunds_settled": len(overdue),
        "refunds_rejected": refunds.reject_expired(REJECTED_BATCH),
    }
