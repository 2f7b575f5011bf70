"""A local system that a test starts, watches and stops."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

from local.places import ROOT
from local.processes import free_port
from local.state import read_json

READY = "Aisle is ready after"


class Aisle:
    """The command line with a state folder and a port of its own."""

    def __init__(self, home: Path, data: str = "none") -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = home.with_name("output.txt")
        self.process: subprocess.Popen[bytes] | None = None
        # of ./aisle up
        self.arguments: list[str] = []
        self.environment = dict(os.environ) | {
            "AISLE_HOME": str(home),
            "AISLE_PORT": str(self.port),
            "AISLE_DATA": data,
            # from any folder, as the script arranges it
            "PYTHONPATH": str(ROOT),
        }

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "local", *arguments]
        return subprocess.run(
            command,
            input=stdin,
            env=self.environment | environment,
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self) -> None:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "local", "up", *self.arguments],
                env=self.environment,
                cwd=self.home.parent,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 300
        try:
            while READY not in self.printed():
                assert self.process.poll() is None, self.printed()
                assert time.monotonic() < deadline, self.printed()
                time.sleep(0.05)
        except BaseException:
            # its parts end with it
            self.process.kill()
            self.process.wait()
            raise

    def printed(self) -> str:
        return self.output.read_text()

    def parts(self) -> dict[str, psutil.Process]:
        return {part["name"]: psutil.Process(part["pid"]) for part in read_json(self.home / "run.json")["parts"]}

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: int = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)


def still_running(processes: list[psutil.Process], timeout_s: float = 30) -> list[psutil.Process]:
    """Return the processes that still run after ``timeout_s`` seconds."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        running = [
            process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        ]
        if not running:
            return []
        time.sleep(0.05)
    return running


def pids(aisle: Aisle) -> dict[str, int]:
    """Return the process id of each part, which may just have ended."""
    return {part["name"]: part["pid"] for part in read_json(aisle.home / "run.json")["parts"]}


def is_healthy(aisle: Aisle) -> bool:
    try:
        return httpx.get(f"{aisle.url}/health", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def wait_for_part(aisle: Aisle, name: str, before: int) -> None:
    """Wait until a part runs as another process than ``before``, and the system is healthy."""
    deadline = time.monotonic() + 240
    while pids(aisle)[name] == before or not is_healthy(aisle):
        assert time.monotonic() < deadline, aisle.printed()
        time.sleep(0.1)
