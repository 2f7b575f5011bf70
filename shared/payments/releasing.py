"""Giving money back: until the provider has understood that nothing may be charged for an order."""

import logging
from uuid import UUID

from shared.errors import PaymentUnavailable
from shared.payments import provider
from shared.settings import settings
from shared.storage.shopping import payments

log = logging.getLogger(__name__)


def release(order_id: UUID) -> bool:
    """Release one payment; False when the provider did not answer, and the job settle_orders has to."""
    try:
        provider().release(str(order_id), settings().payment_timeout_s)
    except PaymentUnavailable as error:
        log.warning("payment not released yet", extra={"order_id": str(order_id), "error": error.detail})
        payments.postpone(order_id)
        return False
    payments.released(order_id)
    return True


def release_due(limit: int) -> tuple[int, bool]:
    """Release payments that are due; returns how many were, and whether the provider answered throughout.

    Stops where it did not: the others would wait in vain. The next run begins with another one.
    """
    done = 0
    for order_id in payments.due(limit):
        if not release(order_id):
            return done, False
        done += 1
    return done, True
