"""Payments: the protocol of a payment provider, and the provider that the setting PAYMENT_PROVIDER chooses.

To add a provider, add a module here that implements ``Provider``, and its name to ``provider`` and to the setting.
"""

import logging
from decimal import Decimal
from functools import cache
from typing import Protocol

from shared.clients import closed_on_reset
from shared.settings import settings

log = logging.getLogger(__name__)


class Provider(Protocol):
    """A payment provider. It is called outside any transaction; ``reference`` is the order's id.

    Both methods may be repeated: a provider charges a reference once and releases it once.
    """

    def charge(self, reference: str, amount: Decimal, token: str | None, timeout_s: float) -> None:
        """Charge ``amount`` to the means of payment that the storefront's ``token`` stands for.

        Raises PaymentDeclined if the charge is refused for good, and PaymentUnavailable if there is no answer within
        ``timeout_s``: the charge may then have succeeded or failed.
        """

    def release(self, reference: str, timeout_s: float) -> None:
        """Make sure that nothing is charged for ``reference``, now or later: refund, void, or refuse a later charge.

        Raises PaymentUnavailable if there is no answer within ``timeout_s``.
        """


@cache
def provider() -> Provider:
    """Return the provider that PAYMENT_PROVIDER names. All of today's values are fakes that charge nothing."""
    from shared.payments.fake import Fake

    if settings().environment == "prod":
        log.warning("the payment provider is a fake and charges nothing")
    return Fake(settings().payment_provider)


@closed_on_reset
def close() -> None:
    """Forget the provider, so that the next call reads the settings again."""
    provider.cache_clear()
