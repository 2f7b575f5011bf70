"""A folder in memory for what tests write, where the machine has one with room."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

MEMORY: Final = Path("/dev/shm")  # noqa: S108 — mkdtemp makes a new folder there, which only its owner can enter
PREFIX: Final = "aisle-tests-"
# The databases of two processes of tests take about 0.3 GiB; their write-ahead logs may grow to 2 GiB each.
FREE_BYTES: Final = 4 * 2**30


@contextmanager
def folder_in_memory(otherwise: Path, memory: Path = MEMORY) -> Iterator[Path]:
    """Yield a new, empty folder in memory, or ``otherwise`` where there is less room than FREE_BYTES.

    The folders of processes that were killed are deleted, so that they do not fill the memory.
    """
    if not has_room(memory):
        yield otherwise
        return
    for folder in memory.glob(f"{PREFIX}*"):
        process = folder.name.removeprefix(PREFIX).partition("-")[0]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            shutil.rmtree(folder, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=memory))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def has_room(memory: Path) -> bool:
    """Return whether the folder can be written, and FREE_BYTES are free both in it and in the machine's memory."""
    if not os.access(memory, os.W_OK | os.X_OK):
        return False
    return min(shutil.disk_usage(memory).free, psutil.virtual_memory().available) >= FREE_BYTES
