"""Starting parts of the running system again that have ended.

The pause before a start doubles with each end of the part, up to MAX_PAUSE_S, so that the part is back within seconds
of the fault's end. After MAX_RESTARTS starts in a row the fault is not a passing one, and the system stops with the
part's last words. A part that has run for STEADY_S starts from the beginning.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from local.errors import CommandError
from local.processes import Part

FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 5.0
MAX_RESTARTS = 10
STEADY_S = 60.0


@dataclass
class _Ends:
    """How often a part has ended in a row, and when it is or was started again."""

    number: int
    due: float
    waits: bool = True


class Restarts:
    """Watches parts by their names. ``report`` takes a line for the person at the terminal."""

    def __init__(self, report: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._ends: dict[str, _Ends] = {}

    def check(self, part: Part, start: Callable[[], Part] | None) -> bool:
        """Start the part again by ``start`` if it has ended and its pause is over; return whether it was.

        Raises CommandError if it has ended too often, or ``start`` is None.
        """
        now = self._clock()
        ends = self._ends.get(part.name)
        if part.running():
            if ends is not None and now - ends.due >= STEADY_S:
                del self._ends[part.name]
            return False
        if start is None:
            raise CommandError(part.obituary())
        if ends is None or not ends.waits:
            ends = self._ended(part, now, 1 if ends is None else ends.number + 1)
        if now < ends.due:
            return False
        ends.due, ends.waits = now, False
        try:
            part.replace(start())
        except CommandError as error:
            self._report(f"{part.name} could not be started: {error}")
            return False
        return True

    def _ended(self, part: Part, now: float, number: int) -> _Ends:
        if number > MAX_RESTARTS:
            raise CommandError(
                f"{part.name} was started again {MAX_RESTARTS} times and ended each time.\n{part.obituary()}"
            )
        pause_s = min(FIRST_PAUSE_S * 2 ** (number - 1), MAX_PAUSE_S)
        self._report(
            f"{part.name} {part.ending()}. It is started again in {pause_s:g} s ({number} of {MAX_RESTARTS}). "
            f"Its log: {part.log}"
        )
        ends = self._ends[part.name] = _Ends(number, now + pause_s)
        return ends
