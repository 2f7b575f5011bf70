"""A collector of spans and metrics, and functions that send to it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from local.telemetry import store
from local.telemetry.collector import Collector
from local.telemetry.store import StoredSpan
from tests.integration.conftest import settings_of
from tests.integration.shop import add_products

TOKEN = "a-token-of-this-test"
Find = Callable[..., list[StoredSpan]]


@pytest.fixture
def collector(tmp_path: Path, env: dict[str, str]) -> Iterator[tuple[Collector, str]]:
    """Serve a collector, and return it with its address."""
    kept = Collector(tmp_path / "spans", TOKEN, env["PUBSUB_EMULATOR_HOST"])
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(kept.app(), lifespan="off", log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield kept, f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def traced(env: dict[str, str], collector: tuple[Collector, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Find]:
    """Send spans to the collector; return a function that waits for as many spans of a trace, of one name if given."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{TOKEN}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    add_products()

    def find(wanted: str, count: int, name: str = "") -> list[StoredSpan]:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = store.find(collector[0].path, wanted)
            if len([span for span in found if name in ("", span.name)]) >= count:
                break
            time.sleep(0.02)
        return found

    with settings_of(env | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector[1]}):
        yield find
