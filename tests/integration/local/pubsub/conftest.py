"""Both servers, behind one fixture: ours as a subprocess, and Google's emulator where it is installed."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.local.pubsub.client import Client, Endpoint, wait_until

REPOSITORY = Path(__file__).parents[4]
LAUNCHER = "platform/pubsub-emulator/bin/cloud-pubsub-emulator"


class Process:
    """Our server as users start it. ``kill`` is kill -9; ``start`` again continues on the same state and port."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "pubsub.db"
        self._ready = folder / "ready"
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""

    def start(self) -> None:
        self._ready.unlink(missing_ok=True)
        command = [sys.executable, "-W", "error", "-m", "local.pubsub", "--port", str(self._port)]
        command += ["--state", str(self.state), "--ready-file", str(self._ready)]
        self._process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        wait_until(lambda: self._ready.exists() or self.exited, awaited="the server to start")
        assert not self.exited
        self.address = self._ready.read_text()
        self._port = int(self.address.rpartition(":")[2])

    @property
    def exited(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def limit_files(self, size: int) -> None:
        """Let every write beyond so many bytes of a file fail, as on a full disk; -1 ends that."""
        assert self._process is not None
        _soft, hard = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, hard))

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """End it politely; return its exit code."""
        assert self._process is not None
        self._process.send_signal(with_signal)
        return self._process.wait(timeout=10)


@pytest.fixture(scope="session")
def embedded_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = Process(tmp_path_factory.mktemp("pubsub"))
    server.start()
    yield server.address
    assert server.stop() == 0


@pytest.fixture(scope="session")
def google_address() -> Iterator[str]:
    address = os.environ.get("PUBSUB_EMULATOR_HOST_FOR_CONFORMANCE")
    if address:
        yield address
        return
    launcher = _launcher()
    if launcher is None:
        pytest.skip("Google's Pub/Sub emulator is not installed (gcloud components install pubsub-emulator)")
    if shutil.which("java") is None:
        pytest.skip("Google's Pub/Sub emulator needs Java")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [str(launcher), "--host=127.0.0.1", f"--port={port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: _answers(port), awaited="Google's emulator to start", timeout_s=30)
        yield f"127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=10)


@pytest.fixture(params=["embedded", "google"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of each server in turn, in a project of its own."""
    with Client(request.getfixturevalue(f"{request.param}_address"), _project()) as client:
        yield client
        client.clean()


@pytest.fixture
def embedded(embedded_address: str) -> Iterator[Client]:
    """A client of our server, for what Google's emulator does not do; the test says what that is."""
    with Client(embedded_address, _project()) as client:
        yield client
        client.clean()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    """A server of the test's own, to be killed."""
    server = Process(tmp_path)
    server.start()
    yield server
    if not server.exited:
        server.stop()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


def _project() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


def _launcher() -> Path | None:
    roots = [Path("/usr/lib/google-cloud-sdk"), Path("/usr/share/google-cloud-sdk"), Path.home() / "google-cloud-sdk"]
    gcloud = shutil.which("gcloud")
    if gcloud is not None:
        roots.insert(0, Path(gcloud).resolve().parents[1])
    return next((root / LAUNCHER for root in roots if (root / LAUNCHER).is_file()), None)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        time.sleep(0.1)
        return False
    return True
