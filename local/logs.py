"""`./aisle logs`: the logs of the parts of a local system, which stay after it has stopped."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TextIO

from local.errors import CommandError, Refused
from local.places import home

LINES: Final = 50
PAUSE_S: Final = 0.2
USAGE: Final = "Use ./aisle logs [PART] [-n LINES] [-f]."


def logs(arguments: Sequence[str]) -> int:
    """Print the end of a part's log, and with -f what is added until Ctrl-C; without a part, the names of all."""
    part, lines, follow = chosen(arguments)
    folder = home() / "logs"
    names = sorted(file.stem for file in folder.glob("*.log"))
    if not names:
        raise CommandError(f"There are no logs in {folder}. Start the system with ./aisle up.")
    if part is None:
        print("\n".join(names))
        return 0
    if part not in names:
        raise Refused(f"There is no log of {part!r}. The logs are {', '.join(names)}.")
    with (folder / f"{part}.log").open(encoding="utf-8", errors="replace") as file:
        print("".join(deque(file, lines)), end="", flush=True)
        if follow:
            follow_file(file, folder / f"{part}.log", lambda: False)
    return 0


def chosen(arguments: Sequence[str]) -> tuple[str | None, int, bool]:
    """Return the part, the number of lines, and whether to go on. Raises Refused."""
    part, lines, follow = None, LINES, False
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "-f":
            follow = True
        elif argument == "-n":
            number = waiting.pop(0) if waiting else ""
            if not (number.isascii() and number.isdigit()):
                raise Refused(f"-n needs a number of lines. {USAGE}")
            lines = int(number)
        elif argument.startswith("-") or part is not None:
            raise Refused(f"Unknown argument {argument!r}. {USAGE}")
        else:
            part = argument
    if follow and part is None:
        raise Refused(f"-f needs the name of a part. {USAGE}")
    return part, lines, follow


def follow_file(file: TextIO, path: Path, is_ended: Callable[[], bool]) -> None:
    """Print what is added to a file, and what replaces it, until the end."""
    while not is_ended():
        if line := file.readline():
            print(line, end="", flush=True)
            continue
        time.sleep(PAUSE_S)
        if path.exists() and path.stat().st_size < file.tell():
            # the system was started again, and the log begins anew
            file.seek(0)
