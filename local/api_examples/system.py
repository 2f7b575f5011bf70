"""A small shop of its own for the recording: the whole system in a temporary folder."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from local.errors import CommandError
from local.places import ROOT
from local.processes import free_port
from local.state import read_json

START_S: Final = 300.0
STOP_S: Final = 60.0
READY: Final = "Aisle is ready after"


@contextmanager
def running() -> Iterator[Path]:
    """Start an empty system and yield its state folder. Raises CommandError if it does not start."""
    with tempfile.TemporaryDirectory(prefix="aisle-examples-") as folder:
        home, printed = Path(folder) / "state", Path(folder) / "output.txt"
        environment = dict(os.environ) | {
            "AISLE_HOME": str(home),
            "AISLE_PORT": str(free_port()),
            "AISLE_DATA": "none",
            "RATE_LIMIT_PER_MINUTE": "0",
            "PYTHONPATH": str(ROOT),
        }
        with printed.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "local", "up"],
                env=environment,
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            deadline = time.monotonic() + START_S
            while READY not in printed.read_text():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise CommandError(f"The system does not start:\n{printed.read_text()[-2000:]}")
                time.sleep(0.1)
            yield home
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_S)


def url_of(home: Path) -> str:
    """Return the address of a running system."""
    return f"http://127.0.0.1:{read_json(home / 'run.json')['port']}"
