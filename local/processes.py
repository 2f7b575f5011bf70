"""The parts of a running system: child processes that are started, watched and stopped, and never outlive us."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from local.errors import CommandError
from local.places import ROOT

LEASH = Path(__file__).with_name("leash.py")
LOGS_PER_PART = 3
# the file that a part makes once it serves, if its environment names one
READY_FILE = "AISLE_READY_FILE"

# The kernel ties a child to the thread that started it, not to the process. This thread ends with the process.
_spawner = ThreadPoolExecutor(1, thread_name_prefix="spawner")


@dataclass(frozen=True)
class Identity:
    """The user a program runs as instead of root; with ``search`` it may pass through closed folders."""

    uid: int
    search: bool = False


@dataclass
class Part:
    """A running program of the system."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    port: int | None = None
    stop_signal: int = signal.SIGTERM
    started: float = field(default_factory=time.time)

    @property
    def pid(self) -> int:
        return self.process.pid

    def running(self) -> bool:
        """Return whether it still runs."""
        return self.process.poll() is None

    def ask_to_stop(self) -> None:
        """Send the signal that ends it cleanly."""
        if self.running():
            self.process.send_signal(self.stop_signal)

    def stop(self, timeout_s: float = 15) -> None:
        """Stop it cleanly; after ``timeout_s`` kill it and its children."""
        self.ask_to_stop()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()

    def replace(self, successor: "Part") -> None:
        """Take over the process of a part that was started in place of this one."""
        self.process, self.started = successor.process, successor.started

    def ending(self) -> str:
        """Return how it ended, as the rest of a sentence about it."""
        code = self.process.returncode
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def obituary(self) -> str:
        """Return how it ended, and the last lines of its log."""
        lines = tail(self.log)
        return f"{self.name} {self.ending()}. Its log, {self.log}" + (
            f", ends with:\n{lines}" if lines else ", is empty."
        )


def rotate(log: Path) -> None:
    """Rename the last run's log, so that a new one begins; keep LOGS_PER_PART old ones."""
    for age in range(LOGS_PER_PART - 1, 0, -1):
        older = log.with_name(f"{log.name}.{age}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{age + 1}"))
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log, indented."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            ending = file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return ""
    return "\n".join("    " + line[:500] for line in ending)


def leashed(
    command: Sequence[str | Path], stop_signal: int = signal.SIGTERM, identity: Identity | None = None, nice: int = 0
) -> list[str]:
    """Return a command that runs ``command`` and ends when this process ends."""
    leash = [sys.executable, "-I", "-S", str(LEASH), "--parent", str(os.getpid()), "--signal", str(int(stop_signal))]
    if identity is not None:
        leash += ["--uid", str(identity.uid)] + (["--search"] if identity.search else [])
    if nice:
        leash += ["--nice", str(nice)]
    return [*leash, "--", *map(str, command)]


def spawn(
    name: str,
    command: Sequence[str | Path],
    log: Path,
    environment: Mapping[str, str],
    *,
    port: int | None = None,
    stop_signal: int = signal.SIGTERM,
    identity: Identity | None = None,
    sockets: Sequence[socket.socket] = (),
    nice: int = 0,
) -> Part:
    """Start a program as a part that cannot outlive this process; its output goes to ``log``.

    ``sockets`` are inherited under their descriptor numbers and closed here. The first word of ``command`` is a path.
    """
    log.parent.mkdir(parents=True, exist_ok=True)

    def start() -> subprocess.Popen[bytes]:
        # who may log in to this machine need not read what shoppers did
        with open(log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
            return subprocess.Popen(
                leashed(command, stop_signal, identity, nice),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                cwd=ROOT if identity is None else "/",
                # Ctrl-C in the terminal is for this process, which stops the parts in order
                start_new_session=True,
                pass_fds=[listener.fileno() for listener in sockets],
            )

    process = _spawner.submit(start).result()
    for listener in sockets:
        listener.close()
    return Part(name, process, log, port, stop_signal)


def start_step(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program that ends by itself and shares our output; it cannot outlive this process either."""

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(leashed(command), env=dict(environment), cwd=ROOT, start_new_session=True)

    return _spawner.submit(start).result()


def report_ready() -> None:
    """Make the file that says that this part serves, if somebody waits for it."""
    if file := os.environ.get(READY_FILE):
        Path(file).touch()


def python(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this project."""
    return [sys.executable, "-m", name, *arguments]


def wait_until(is_ready: Callable[[], bool], part: Part, timeout_s: float) -> None:
    """Wait until ``is_ready()``. Raises CommandError if the part ends first, or is not ready after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.01
    while not is_ready():
        if not part.running():
            raise CommandError(part.obituary())
        if time.monotonic() > deadline:
            raise CommandError(
                f"{part.name} is not ready after {timeout_s:.0f} s. Its log, {part.log}:\n{tail(part.log)}"
            )
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.1)


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether something accepts connections on the port."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listen(port: int, host: str = "127.0.0.1") -> socket.socket:
    """Return a listening socket. Connections made before its server runs wait in the backlog instead of failing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.bind((host, port))
        server.listen(1024)
    except BaseException:
        server.close()
        raise
    return server
