"""The start of the complete local system: the first, which loads the real shop and runs its jobs, and later ones."""

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
RESTARTS = 3
TIMEOUT_S = 600


def start_once(home: Path, data: str) -> float:
    """Start the system, wait until it reports that it is ready, stop it, and return the seconds it reports.

    Raises RuntimeError with its output if it does not start.
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
                text = output.read()
                if match := READY.search(text):
                    return float(match[1])
                if process.poll() is not None:
                    break
                time.sleep(0.1)
            raise RuntimeError(f"./aisle up did not start:\n{text[-2000:]}")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def rows(_bench: Bench) -> list[Row]:
    """Start on an empty folder, then again on the same folder."""
    with tempfile.TemporaryDirectory(prefix="aisle-start-") as folder:
        os.chmod(folder, 0o711)
        home = Path(folder) / "state"
        first = start_once(home, "online_retail")
        restarts = [start_once(home, "online_retail") for _ in range(RESTARTS)]
    return [
        Row("first ./aisle up, after installation", first, "s", note="396,337 events loaded, jobs run"),
        Row("second ./aisle up", median(restarts), "s", 10, at_most=True),
    ]
