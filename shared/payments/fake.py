"""A payment provider that charges nothing: it approves, declines or times out, by setting or by the request's token."""

import threading
import time
from collections import OrderedDict
from decimal import Decimal
from typing import Final

from shared.errors import PaymentDeclined, PaymentUnavailable

# references that the fake remembers; a real provider remembers all of them
REMEMBERED: Final = 10_000
DECLINES: Final = ("fake-declines", "decline")
TIMES_OUT: Final = ("fake-times-out", "time-out")


class Ledger:
    """The provider's records: by reference the amount charged, or 0 once it was released."""

    def __init__(self) -> None:
        self.charged: OrderedDict[str, Decimal] = OrderedDict()
        self._lock = threading.Lock()

    def charge(self, reference: str, amount: Decimal) -> bool:
        """Charge a reference once; return False if it was released before."""
        with self._lock:
            charged = self.charged.setdefault(reference, amount)
            while len(self.charged) > REMEMBERED:
                self.charged.popitem(last=False)
            return charged > 0

    def release(self, reference: str) -> None:
        """Record that this reference is never charged, now or later."""
        with self._lock:
            self.charged[reference] = Decimal(0)


# outlives the provider object, as a real provider's records outlive a change of settings
ledger: Final = Ledger()


class Fake:
    """``behaviour`` is PAYMENT_PROVIDER; the tokens ``decline`` and ``time-out`` choose a behaviour for one request."""

    def __init__(self, behaviour: str) -> None:
        self.behaviour = behaviour

    def charge(self, reference: str, amount: Decimal, token: str | None, timeout_s: float) -> None:
        """Charge the amount. A time-out has charged it, the worst case: only the answer is missing."""
        if self.behaviour in DECLINES or token in DECLINES:
            raise PaymentDeclined("The payment was declined; use another means of payment.")
        charged = ledger.charge(reference, amount)
        if self.behaviour in TIMES_OUT or token in TIMES_OUT:
            time.sleep(timeout_s)
            raise PaymentUnavailable("The payment provider did not answer.", retry_after_s=5)
        if not charged:
            raise PaymentDeclined("The payment of this order was released; place a new order.")

    def release(self, reference: str, timeout_s: float) -> None:
        """Release the reference. A provider set to time out does not answer here either."""
        if self.behaviour in TIMES_OUT:
            time.sleep(timeout_s)
            raise PaymentUnavailable("The payment provider did not answer.", retry_after_s=5)
        ledger.release(reference)
