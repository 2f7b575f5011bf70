"""What tuning may cost: predicted processor seconds, which depend on no clock, and a watch that ends a hung search."""

import time
from collections.abc import Callable
from typing import Final, TypeAlias

# Returns seconds since an arbitrary fixed time.
Clock: TypeAlias = Callable[[], float]
# On a busy machine, the process's time counts as at least the elapsed time divided by this.
LONGEST: Final = 4.0
# Tuning is aborted when it has taken this many times its budget, but not before this many seconds: small budgets leave
# no room for work other than tuning, such as compiling.
ABORT_AFTER: Final = 3.0
ABORT_NOT_BEFORE_S: Final = 60.0
# After this many seconds, tuning is aborted at twice its budget: the platform ends the job ``similarity`` after
# ``timeout_s`` of functions.yaml, and before that it must fit the choice on the whole history and publish it.
ABORT_EARLY_FROM_S: Final = 1_200.0
ABORT_EARLY_AFTER: Final = 2.0


def own_time_clock() -> Clock:
    """Return a clock that counts the seconds available to this process, from now on.

    On an idle machine that is the elapsed time. On a busy one it is the process's processor time, but at least the
    elapsed time / LONGEST, so that a process that gets no processor time ends as well.
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
    """Expires when tuning has taken far longer than its budget, by a clock that tests can replace."""

    def __init__(self, budget_s: float, clock: Clock) -> None:
        self._clock = clock
        self._end = clock() + abort_after_s(budget_s)
        self.has_expired = False

    def expires(self) -> bool:
        """Return whether the time is up. An expired watch stays expired, even if the clock goes back."""
        self.has_expired = self.has_expired or self._clock() > self._end
        return self.has_expired


class Budget:
    """Predicted seconds that may be spent. What a part of a budget spends also counts against its parent."""

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
        """Return whether the watch expired before the budget was used up."""
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

        reserved : a share of the total that this part must leave.
        """
        return Budget(min(self.all_but(reserved).seconds, self.seconds * share), parent=self)

    def all_but(self, share: float) -> "Budget":
        """Return a budget of what is left minus this share of the total."""
        return Budget(max(0.0, self.left - self.seconds * share), parent=self)
