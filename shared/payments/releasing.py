"""Releasing payments: repeated until the provider confirms that nothing is charged for an order."""

import logging
from uuid import UUID

from shared.errors import PaymentUnavailable
from shared.payments import provider
from shared.settings import settings
from shared.storage.shopping import payments

log = logging.getLogger(__name__)


def release(order_id: UUID) -> bool:
    """Release a payment; return False if the provider did not answer and the job ``settle_orders`` must try again."""
    try:
        provider().release(str(order_id), settings().payment_timeout_s)
    except PaymentUnavailable as error:
        log.warning("payment not released yet", extra={"order_id": str(order_id), "error": error.detail})
        payments.postpone(order_id)
        return False
    payments.mark_released(order_id)
    return True


def release_due(limit: int) -> tuple[int, bool]:
    """Release up to ``limit`` due payments; return how many were released, and whether the provider always answered.

    Stops at the first payment without an answer: the others would wait in vain. The next run starts with another.
    """
    released = 0
    for order_id in payments.list_due(limit):
        if not release(order_id):
            return released, False
        released += 1
    return released, True
