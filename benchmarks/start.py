"""Starting the whole local system: the first time, with the real shop loaded and its jobs run, and again."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.frame import Bench, Row, median
from local.places import ROOT
from local.processes import free_port

READY = re.compile(r"Aisle is ready after ([0-9.]+) s")
AGAIN = 3
TIMEOUT_S = 600


def start_once(home: Path, data: str) -> float:
    """Start the system, wait until it says that it is ready, stop it; return the seconds it says.

    Raises RuntimeError with its output when it does not come up.
    """
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    environment.pop("PUBSUB_EMULATOR_HOST", None)
    environment |= {"AISLE_HOME": str(home), "AISLE_PORT": str(free_port()), "AISLE_DATA": data}
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "local", "up"],
            env=environment | {"PYTHONPATH": str(ROOT)},
            cwd=home.parent,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while time.monotonic() < deadline:
                output.seek(0)
                said = output.read()
                if found := READY.search(said):
                    return float(found[1])
                if process.poll() is not None:
                    break
                time.sleep(0.1)
            raise RuntimeError(f"./aisle up did not come up:\n{said[-2000:]}")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def rows(_bench: Bench) -> list[Row]:
    """Start on a fresh folder, then again on the same."""
    with tempfile.TemporaryDirectory(prefix="aisle-start-") as folder:
        os.chmod(folder, 0o711)
        home = Path(folder) / "state"
        first = start_once(home, "online_retail")
        again = [start_once(home, "online_retail") for _ in range(AGAIN)]
    return [
        Row("first ./aisle up, installed already", first, "s", note="396,337 events loaded, jobs run"),
        Row("second ./aisle up", median(again), "s", 10, at_most=True),
    ]
