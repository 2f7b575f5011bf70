"""`./aisle wait` returns when nothing waits, and says at its time-out what does."""

import pytest

from local.backlogs import Backlog
from local.errors import CommandError, Refused
from local.waiting import Look, timeout_of, wait_until_quiet

IDLE = [Backlog("update_preferences", 0, None), Backlog("refresh_catalog", 0, None)]
BUSY = [Backlog("update_preferences", 2, 65.0), Backlog("refresh_catalog", 0, None)]


class Clock:
    """Time passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def looking(*seen: tuple[int, list[Backlog]]) -> Look:
    """Return a look that sees one state after the other, and the last one from then on."""
    left = list(seen)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def wait(look: Look, timeout_s: float = 1) -> float:
    """Return the seconds that a wait takes."""
    clock = Clock()
    wait_until_quiet(look, timeout_s, clock, clock.sleep)
    return clock.now


def test_it_returns_once_nothing_waits() -> None:
    assert wait(looking((0, IDLE))) < wait(looking((0, BUSY), (3, IDLE), (0, IDLE))) < 1


def test_it_waits_for_the_outbox_alone_and_for_subscriptions_alone() -> None:
    once = wait(looking((0, IDLE)))
    for busy in ((1, IDLE), (0, BUSY)):
        assert wait(looking(busy, busy, busy, (0, IDLE))) == pytest.approx(3 * 0.05 + once)


def test_a_message_that_comes_between_two_looks_is_waited_for() -> None:
    # one message of the catalog was caused by the last event, after the first look
    seen = looking((0, IDLE), (0, BUSY), (0, IDLE), (0, IDLE))
    assert wait(seen) == pytest.approx(3 * 0.05)


def test_the_time_out_says_in_one_line_what_waits() -> None:
    with pytest.raises(CommandError) as caught:
        wait(looking((3, BUSY)))
    assert str(caught.value) == (
        "After 1 s these still wait: 3 messages in the outbox, 2 for update_preferences (oldest 1 min 5 s). "
        "See ./aisle status."
    )
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(("arguments", "seconds"), [([], 120), (["--timeout", "5"], 5), (["--timeout", "0.5"], 0.5)])
def test_the_time_out_is_a_number_of_seconds(arguments: list[str], seconds: float) -> None:
    assert timeout_of(arguments) == seconds


@pytest.mark.parametrize(
    "arguments",
    [
        ["5"],
        ["--timeout"],
        ["--timeout", "soon"],
        ["--timeout", "0"],
        ["--timeout", "-1"],
        ["--timeout", "inf"],
        ["--timeout", "nan"],
        ["--timeout", "5", "6"],
        ["--wait", "5"],
    ],
)
def test_other_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(Refused):
        timeout_of(arguments)
