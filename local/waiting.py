"""`./aisle wait`: return once every accepted event has taken effect."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from local.backlogs import Backlog, read_backlogs
from local.commands import running
from local.errors import CommandError, Refused
from local.status import describe_backlog, query
from local.topics import DEAD_LETTER

# a message that failed is delivered again after 60 s at the latest
TIMEOUT_S: Final = 120.0
PAUSE_S: Final = 0.05
# What one message causes may be a message of its own, which neither look sees while it is on its way between them.
QUIET_LOOKS: Final = 2
UNSENT: Final = "SELECT count(*) FROM outbox WHERE published_at IS NULL"

Look = Callable[[], tuple[int, list[Backlog]]]


def wait(arguments: Sequence[str]) -> int:
    """Wait for the running system, at most for the seconds after ``--timeout``; return 0.

    Raises CommandError at the time-out, and Refused for other arguments.
    """
    timeout_s = timeout_of(arguments)
    environment = running()["environment"]

    def look() -> tuple[int, list[Backlog]]:
        rows = query(environment["DATABASE_URL"], UNSENT)
        if not rows:
            raise CommandError("The database does not answer. See ./aisle status.")
        try:
            backlogs = read_backlogs(environment["PUBSUB_EMULATOR_HOST"])
        except ConnectionError as error:
            raise CommandError(str(error)) from None
        return int(rows[0][0]), [each for each in backlogs if not each.subscription.endswith(DEAD_LETTER)]

    wait_until_quiet(look, timeout_s)
    return 0


def timeout_of(arguments: Sequence[str]) -> float:
    """Return the time-out in seconds that the arguments set. Raises Refused."""
    if not arguments:
        return TIMEOUT_S
    try:
        name, value = arguments
        seconds = float(value)
    except ValueError:
        name, seconds = "", 0.0
    if name != "--timeout" or not 0 < seconds < float("inf"):
        raise Refused("The only argument of wait is --timeout SECONDS, a positive number. See ./aisle wait --help.")
    return seconds


def wait_until_quiet(
    look: Look,
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Look until nothing waits. Raises CommandError, which says what waits, after ``timeout_s``.

    ``look`` returns the messages that were not published yet, and then what waits in each subscription. In this order:
    a message that leaves the outbox is in a subscription afterwards.
    """
    deadline = clock() + timeout_s
    quiet = 0
    while True:
        unsent, backlogs = look()
        waiting = [backlog for backlog in backlogs if backlog.waiting]
        quiet = 0 if unsent or waiting else quiet + 1
        if quiet == QUIET_LOOKS:
            return
        if clock() >= deadline:
            raise CommandError(f"After {timeout_s:g} s {remaining(unsent, waiting)}. See ./aisle status.")
        sleep(PAUSE_S)


def remaining(unsent: int, waiting: Sequence[Backlog]) -> str:
    """Return what waits, as the rest of a sentence."""
    parts = [f"{unsent} messages in the outbox"] if unsent else []
    for backlog in waiting:
        name, number, oldest = describe_backlog(backlog)
        parts.append(f"{number} for {name} (oldest {oldest})")
    return f"these still wait: {', '.join(parts)}" if parts else "the last messages had only just taken effect"
