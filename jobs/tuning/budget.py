"""What tuning may cost: predicted processor seconds, which depend on no clock, and a watch that ends what hangs."""

import time
from collections.abc import Callable
from typing import Final, TypeAlias

# Returns seconds since any fixed moment.
Clock: TypeAlias = Callable[[], float]
# Beside other work, a process's time passes at this fraction of the elapsed time at the least.
LONGEST: Final = 4.0
# Tuning is aborted when it has taken this many times its budget, but at least so many seconds: small budgets leave no
# room for what is not tuning, such as compiling.
ABORT_AFTER: Final = 3.0
ABORT_NOT_BEFORE_S: Final = 60.0
# After so many seconds twice the budget suffices: the platform ends the job ``similarity`` after ``timeout_s`` of
# functions.yaml, before which it has to fit the choice on the whole history and to publish it.
ABORT_EARLY_FROM_S: Final = 1_200.0
ABORT_EARLY_AFTER: Final = 2.0


def own_time_clock() -> Clock:
    """Return a clock of the seconds in which this process could work, from now on.

    On an idle machine that is the elapsed time. Beside other work it is the process's processor time, but at least the
    elapsed time / LONGEST, so that a process that gets no processor ends.
    """
    begun, used = time.perf_counter(), time.process_time()

    def seconds() -> float:
        elapsed = time.perf_counter() - begun
        return max(min(elapsed, time.process_time() - used), elapsed / LONGEST)

    return seconds


def abort_after_s(budget_s: float) -> float:
    """Return the seconds after which tuning with this budget is aborted."""
    return max(min(ABORT_AFTER * budget_s, ABORT_EARLY_FROM_S), ABORT_EARLY_AFTER * budget_s, ABORT_NOT_BEFORE_S)


class Watch:
    """Expires when tuning has taken far more than its budget, on a clock that tests may replace."""

    def __init__(self, budget_s: float, clock: Clock) -> None:
        self._clock = clock
        self._end = clock() + abort_after_s(budget_s)
        self.has_expired = False

    def expires(self) -> bool:
        """Return whether the time is up. An expired watch stays expired, even if the clock goes back."""
        self.has_expired = self.has_expired or self._clock() > self._end
        return self.has_expired


class Budget:
    """Predicted seconds that may be spent. What a part of a budget spends, its parent spends as well."""

    def __init__(self, seconds: float, watch: Watch | None = None, parent: "Budget | None" = None) -> None:
        self.seconds, self.spent = seconds, 0.0
        self._watch, self._parent = watch, parent

    @property
    def left(self) -> float:
        """Return the seconds left, at least 0; 0 once the watch has expired."""
        left = self.seconds - self.spent
        if self._parent is not None:
            left = min(left, self._parent.left)
        if left <= 0 or (self._watch is not None and self._watch.expires()):
            return 0.0
        return left

    @property
    def is_aborted(self) -> bool:
        """Return whether the watch ended what the budget would have allowed."""
        if self._parent is not None and self._parent.is_aborted:
            return True
        return self._watch is not None and self._watch.has_expired

    def charge(self, seconds: float) -> None:
        """Spend these seconds."""
        self.spent += seconds
        if self._parent is not None:
            self._parent.charge(seconds)

    def part(self, share: float, *, reserved: float = 0.0) -> "Budget":
        """Return a budget of this share of the total, or of what is left if that is less.

        reserved : a share of the total that is not for this part.
        """
        return Budget(min(self.all_but(reserved).seconds, self.seconds * share), parent=self)

    def all_but(self, share: float) -> "Budget":
        """Return a budget of what is left less this share of the total."""
        return Budget(max(0.0, self.left - self.seconds * share), parent=self)
