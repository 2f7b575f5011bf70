"""What tuning may cost: charges spend it, clocks only end what hangs."""

import time
from itertools import count

import pytest

from jobs.tuning.budget import (
    ABORT_AFTER,
    ABORT_EARLY_AFTER,
    ABORT_EARLY_FROM_S,
    ABORT_NOT_BEFORE_S,
    LONGEST,
    Budget,
    Watch,
    abort_after_s,
    own_time_clock,
)
from shared.manifest import manifest
from shared.settings import Settings


@pytest.mark.parametrize(
    ("elapsed", "processor", "spent"),
    [
        (10.0, 10.0, 10.0),
        # two threads: an idle machine's time is elapsed time
        (10.0, 20.0, 10.0),
        # another process has a third of the processor
        (10.0, 6.7, 6.7),
        # the limit, and beyond it: nearly no processor
        (10.0, 10.0 / LONGEST, 10.0 / LONGEST),
        (10.0, 0.99 * 10.0 / LONGEST, 10.0 / LONGEST),
        (10.0, 0.0, 10.0 / LONGEST),
    ],
)
def test_other_work_on_the_machine_takes_none_of_a_process_own_time(
    monkeypatch: pytest.MonkeyPatch, elapsed: float, processor: float, spent: float
) -> None:
    now = {"wall": 1000.0, "cpu": 70.0}
    monkeypatch.setattr(time, "perf_counter", lambda: now["wall"])
    monkeypatch.setattr(time, "process_time", lambda: now["cpu"])
    clock = own_time_clock()
    assert clock() == 0
    now["wall"] += elapsed
    now["cpu"] += processor
    assert clock() == pytest.approx(spent)


def test_charges_alone_spend_a_budget_whatever_the_clock_says() -> None:
    wild = count(0, 7)
    budget = Budget(10.0, Watch(1e9, lambda: float(next(wild))))
    part, rest = budget.part(0.3), budget.all_but(0.2)
    assert (part.left, rest.left) == (3.0, 8.0)
    part.charge(2.0)
    assert (part.left, budget.left) == (1.0, 8.0)
    # the rest was promised before the part was spent, and never has more than the whole
    budget.charge(7.5)
    assert (part.left, rest.left, budget.left) == (0.5, 0.5, 0.5)
    budget.charge(1.0)
    assert (part.left, rest.left, budget.left) == (0.0, 0.0, 0.0)
    assert not budget.is_aborted


def test_a_part_leaves_what_is_reserved() -> None:
    budget = Budget(10.0)
    assert budget.part(0.5, reserved=0.4).left == 5.0
    budget.charge(4.0)
    # what is left beyond the reserve, and the whole rest without one
    assert budget.part(0.5, reserved=0.4).left == pytest.approx(2.0)
    assert budget.part(0.5).left == 5.0
    budget.charge(2.5)
    assert budget.part(0.5, reserved=0.4).left == 0.0
    assert budget.part(0.5).left == 3.5


def test_the_default_budget_is_aborted_early_enough_to_publish() -> None:
    budget_s = Settings.model_fields["similarity_budget_s"].default
    # loading, the fit on the whole history, the formula of what is bought again, and publishing
    assert abort_after_s(budget_s) + 600 <= manifest().entries["similarity"].timeout_s


@pytest.mark.parametrize(
    ("budget_s", "elapsed", "aborted"),
    [
        (50.0, 0.0, False),
        (50.0, ABORT_AFTER * 50, False),
        (50.0, ABORT_AFTER * 50 + 1e-6, True),
        # a small budget has a minute
        (1.0, ABORT_NOT_BEFORE_S, False),
        (1.0, ABORT_NOT_BEFORE_S + 1e-6, True),
        # and a large one less room
        (500.0, ABORT_EARLY_FROM_S, False),
        (500.0, ABORT_EARLY_FROM_S + 1e-6, True),
        (5_000.0, ABORT_EARLY_AFTER * 5_000, False),
        (5_000.0, ABORT_EARLY_AFTER * 5_000 + 1e-6, True),
    ],
)
def test_a_budget_is_aborted_beyond_its_longest_time_and_stays_so(
    budget_s: float, elapsed: float, aborted: bool
) -> None:
    now = 100.0
    budget = Budget(budget_s, Watch(budget_s, lambda: now))
    now += elapsed
    assert (budget.left == 0.0) == aborted
    assert (budget.is_aborted, budget.part(1.0).is_aborted) == (aborted, aborted)
    # a clock that is set back revives nothing
    now -= elapsed
    assert (budget.left == 0.0, budget.is_aborted) == (aborted, aborted)


def test_a_budget_that_was_used_up_before_the_time_is_not_aborted() -> None:
    now = 0.0
    budget = Budget(5.0, Watch(5.0, lambda: now))
    budget.charge(5.0)
    now = 1_000.0
    assert budget.left == 0.0
    assert not budget.is_aborted


def test_a_part_is_a_share_of_the_whole_and_not_of_what_is_left() -> None:
    budget = Budget(10.0)
    budget.charge(5.0)
    assert (budget.part(0.3).left, budget.all_but(0.2).left) == (3.0, 3.0)
    budget.charge(3.0)
    # no part is more than what is left
    assert (budget.part(0.3).left, budget.all_but(0.2).left) == (2.0, 0.0)
    budget.part(0.3).charge(0.5)
    assert budget.spent == 8.5
