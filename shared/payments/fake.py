"""A provider that takes no money: it approves, declines or does not answer, by setting or by the request's token."""

import threading
import time
from collections import OrderedDict
from decimal import Decimal
from typing import Final

from shared.errors import PaymentDeclined, PaymentUnavailable

# references remembered; a real provider remembers all
REMEMBERED: Final = 10_000
DECLINES: Final = ("fake-declines", "decline")
TIMES_OUT: Final = ("fake-times-out", "time-out")


class Ledger:
    """What a provider knows by reference: the amount charged, 0 once it was released."""

    def __init__(self) -> None:
        self.charged: OrderedDict[str, Decimal] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, reference: str, amount: Decimal) -> bool:
        """Charge once; False when the reference was released before."""
        with self._lock:
            known = self.charged.setdefault(reference, amount)
            while len(self.charged) > REMEMBERED:
                self.charged.popitem(last=False)
            return known > 0

    def give_back(self, reference: str) -> None:
        """Charge nothing under this reference, ever."""
        with self._lock:
            self.charged[reference] = Decimal(0)


# the provider's, not this process's settings': outlives a change of them
ledger: Final = Ledger()


class Fake:
    """``behaviour`` is the setting; the tokens ``decline`` and ``time-out`` do the same for one request."""

    def __init__(self, behaviour: str) -> None:
        self.behaviour = behaviour

    def charge(self, reference: str, amount: Decimal, token: str | None, timeout_s: float) -> None:
        """Take the amount; the worst of time-outs is when it was taken and only the answer is missing."""
        if self.behaviour in DECLINES or token in DECLINES:
            raise PaymentDeclined("The payment was declined; try another means of payment.")
        taken = ledger.take(reference, amount)
        if self.behaviour in TIMES_OUT or token in TIMES_OUT:
            time.sleep(timeout_s)
            raise PaymentUnavailable("The payment provider did not answer.", retry_after_s=5)
        if not taken:
            raise PaymentDeclined("The payment was given up before; order again.")

    def release(self, reference: str, timeout_s: float) -> None:
        """Give back what was taken. A provider that does not answer does not do so here either."""
        if self.behaviour in TIMES_OUT:
            time.sleep(timeout_s)
            raise PaymentUnavailable("The payment provider did not answer.", retry_after_s=5)
        ledger.give_back(reference)
