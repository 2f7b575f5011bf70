"""Taking money: what is asked of a payment provider. The setting PAYMENT_PROVIDER chooses who answers.

A real provider is one more module here and one more name in ``provider``.
"""

import logging
from decimal import Decimal
from functools import cache
from typing import Protocol

from shared.clients import closed_on_reset
from shared.settings import settings

log = logging.getLogger(__name__)


class Provider(Protocol):
    """A payment provider, asked outside any transaction. ``reference`` is the order's id.

    Both calls may be repeated: of one reference money is taken once and given back once.
    """

    def charge(self, reference: str, amount: Decimal, token: str | None, timeout_s: float) -> None:
        """Take ``amount`` with the means of payment that the storefront got ``token`` for.

        Raises PaymentDeclined when it is refused for good, and PaymentUnavailable when there was no answer within
        ``timeout_s``: then nobody knows whether it was taken.
        """

    def release(self, reference: str, timeout_s: float) -> None:
        """Make sure that nothing is charged under ``reference``, now or later: refunded, voided or never taken.

        Raises PaymentUnavailable when there was no answer.
        """


@cache
def provider() -> Provider:
    """Return the provider that the settings choose."""
    from shared.payments.fake import Fake

    if settings().environment == "prod":
        log.warning("the payment provider is a fake: nothing is charged")
    return Fake(settings().payment_provider)


@closed_on_reset
def close() -> None:
    """Forget the provider: settings are read anew."""
    provider.cache_clear()
