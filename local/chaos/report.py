"""The table of a run, as text and in docs/failure-modes.md."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from local.chaos.faults import Fault
from local.errors import CommandError
from local.places import ROOT

PAGE: Final = ROOT / "docs/failure-modes.md"
BEGIN: Final = "<!-- the table of ./aisle chaos --write begins -->"
END: Final = "<!-- the table of ./aisle chaos --write ends -->"
# after the end of a fault
MAX_RECOVERY_S: Final = 10.0


@dataclass
class Outcome:
    """What a fault did. Seconds count from its end."""

    fault: Fault
    seconds: float
    requests: int = 0
    errors: int = 0
    longest_read_s: float = 0.0
    longest_wait_s: float = 0.0
    max_read_s: float = 0.0
    lost: int = 0
    doubled: int = 0
    recovery_s: float = 0.0
    # of requests whose first attempt was before the end
    repeats_s: float = 0.0
    max_repeats_s: float = 0.0
    drain_s: float = 0.0
    max_drain_s: float = 0.0
    # paths with the status that no fault may cause
    wrong: list[str] = field(default_factory=list)
    # requests that clients repeated without success until they lost patience
    given_up: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def complaints(self) -> list[str]:
        """What must not be, in words; empty if all is well."""
        complaints = [f"lost {self.lost}"] * bool(self.lost) + [f"doubled {self.doubled}"] * bool(self.doubled)
        if self.wrong:
            complaints.append(
                f"{len(self.wrong)} answers that no fault may cause: {', '.join(sorted(set(self.wrong))[:5])}"
            )
        if self.given_up:
            complaints.append(f"{len(self.given_up)} requests given up: {', '.join(self.given_up[:3])}")
        if self.stale:
            complaints.append(f"{len(self.stale)} stale answers: {', '.join(self.stale[:3])}")
        if self.recovery_s > MAX_RECOVERY_S:
            complaints.append(f"new requests failed until {self.recovery_s:.1f} s after the end")
        if self.repeats_s > self.max_repeats_s:
            complaints.append(f"interrupted requests failed until {self.repeats_s:.1f} s after the end")
        if self.drain_s > self.max_drain_s:
            complaints.append(f"the backlog took {self.drain_s:.1f} s")
        if not self.fault.stops_functions and self.longest_read_s > self.max_read_s:
            complaints.append(f"a reader waited {self.longest_read_s:.1f} s")
        return complaints


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a Markdown table."""
    lines = [
        "| fault | requests | errors | longest wait | lost | doubled | recovery | repeats | drained | at most | 500s |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {outcome.fault.what} | {outcome.requests:,} | {outcome.errors:,} | {outcome.longest_wait_s:.1f} s "
        f"| {outcome.lost} | {outcome.doubled} | {outcome.recovery_s:.1f} s | {outcome.repeats_s:.1f} s "
        f"| {outcome.drain_s:.1f} s | {outcome.max_drain_s:.0f} s | {len(outcome.wrong)} |"
        for outcome in outcomes
    ]
    return "\n".join(lines)


def write(outcomes: Sequence[Outcome], command: str, day: str, seconds: float) -> None:
    """Write the table into docs/failure-modes.md. Raises CommandError if the page has no place for it."""
    page = PAGE.read_text()
    put_into(PAGE, page, f"{day}, `{command}`, {seconds:.0f} s in all:\n\n{table(outcomes)}")


def put_into(path: Path, page: str, text: str) -> None:
    """Replace what stands between the two marks of a page. Raises CommandError if it lacks them."""
    replaced, number = re.subn(
        f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _match: f"{BEGIN}\n\n{text}\n\n{END}", page, flags=re.DOTALL
    )
    if number != 1:
        raise CommandError(f"{path} must have one line {BEGIN} before one line {END}.")
    path.write_text(replaced)
