"""Events: accepted (published), applied (stored and folded into preferences), and seen in a recommendation."""

import base64
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from benchmarks.frame import RUNS, Bench, Row, make_topic, median
from benchmarks.load import load, post
from delivery import http
from local.places import ROOT
from local.processes import free_port
from shared import messages
from shared.domain.events import uuid7
from shared.event_origin import Origin


def event(number: int, products: int) -> dict[str, Any]:
    """Return an event of one of 500 users."""
    kind = ("view", "view", "view", "add_to_cart", "purchase")[number % 5]
    return {"user_id": f"user-{number % 500}", "product_id": number * 7919 % products + 1, "event_type": kind}


def accepted(bench: Bench) -> list[Row]:
    """Post events over 16 connections to a function that publishes to the embedded Pub/Sub."""
    make_topic(bench, messages.USER_EVENTS)
    single = [post("/events", orjson.dumps(event(number, bench.products))) for number in range(1000)]
    batches = []
    for first in range(0, 10_000, 100):
        # all events of a batch belong to one user, so each batch is one message
        listed = [event(number, bench.products) | {"user_id": f"user-{first}"} for number in range(first, first + 100)]
        batches.append(post("/events/batch", orjson.dumps({"events": listed})))
    single_rates: list[float] = []
    batch_rates: list[float] = []
    with bench.serving("events") as url:
        load(url, single, connections=16, seconds=1)
        for _ in range(RUNS):
            for requests, rates in ((single, single_rates), (batches, batch_rates)):
                run = load(url, requests, connections=16, seconds=2)
                if run.failures:
                    raise RuntimeError(f"{run.failures} events were refused")
                rates.append(run.per_second)
    return [
        Row("event accepted, one process", median(single_rates), "events/s", 800),
        Row("… in batches of 100", median(batch_rates) * 100, "events/s", 10_000),
    ]


def push(number: int, events: int, products: int) -> bytes:
    """Return the request in which Eventarc delivers a message with this many events of one user."""
    listed = []
    for position in range(events):
        fields = event(number * events + position, products)
        listed.append(
            {key: value for key, value in fields.items() if key != "user_id"}
            | {
                "event_id": str(uuid7()),
                "timestamp": datetime.now(UTC).isoformat(),
                "session_id": None,
                "metadata": None,
            }
        )
    # as browsers send them, several behind one address
    origin = Origin(client=f"client-{number % 2000}")
    data, attributes = messages.user_events(f"user-{number % 5000}", listed, origin=origin)
    envelope = {
        "message": {"data": base64.b64encode(data).decode(), "attributes": attributes, "messageId": str(number)},
        "subscription": "s",
    }
    headers = (
        f"ce-id: {number}\r\nce-source: //pubsub.googleapis.com/x\r\nce-specversion: 1.0\r\n"
        "ce-type: google.cloud.pubsub.topic.v1.messagePublished\r\n"
    )
    return post("/", orjson.dumps(envelope), headers)


def applied(bench: Bench) -> list[Row]:
    """Deliver messages over 8 connections to one process that stores them."""
    single_rates: list[float] = []
    batch_rates: list[float] = []
    with bench.serving("update_preferences") as url:
        load(url, [push(number, 1, bench.products) for number in range(100)], connections=8)
        for number in range(RUNS):
            for size, count, rates in ((1, 600, single_rates), (100, 60, batch_rates)):
                requests = [push(1000 * (number + 1) + which, size, bench.products) for which in range(count)]
                run = load(url, requests, connections=8)
                if run.failures:
                    raise RuntimeError(f"{run.failures} messages were not acknowledged")
                rates.append(run.per_second * size)
    return [
        Row("event applied, messages of one", median(single_rates), "messages/s", 150),
        Row("… messages of 100", median(batch_rates), "events/s", 3000),
    ]


def freshness(_bench: Bench) -> list[Row]:
    """Post a view of a new user to a complete running system, and request recommendations until they are personal."""
    waits = []
    with tempfile.TemporaryDirectory(prefix="aisle-bench-") as home:
        os.chmod(home, 0o711)
        port = free_port()
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "PYTHONPATH")
        }
        settings = inherited | {
            "AISLE_HOME": str(Path(home) / "state"),
            "AISLE_PORT": str(port),
            "AISLE_DATA": "synthetic",
        }
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "local", "up"], cwd=ROOT, env=settings, stdout=output, stderr=output
            )
            url = f"http://127.0.0.1:{port}"
            try:
                wait_ready(url, process)
                waits += [change_latency_ms(url, f"fresh-{number}", number % 1000 + 1) for number in range(100)]
            finally:
                process.terminate()
                process.wait(30)
    waits.sort()
    return [
        Row("event sent → changed recommendation, p50", waits[len(waits) // 2], "ms", note="complete local system"),
        Row("… p95", waits[int(len(waits) * 0.95)], "ms", 1000, at_most=True),
    ]


def wait_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the complete system serves with a model. Raises RuntimeError if it ends or takes too long."""
    end = time.monotonic() + 180
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError("the local system did not start")
        try:
            if http.get(f"{url}/health/ready", timeout_s=5).status == 200:
                return
        except http.NoAnswer:
            pass
        time.sleep(0.2)
    raise RuntimeError("the local system was not ready within 180 s")


def change_latency_ms(url: str, user: str, product: int) -> float:
    """Return the milliseconds from sending an event to the first changed answer. Raises RuntimeError after 30 s."""

    def strategy() -> str:
        return str(http.get(f"{url}/recommendations?user_id={user}&k=5").json()["strategy"])

    before = strategy()
    begun = time.perf_counter()
    http.post(f"{url}/events", {"user_id": user, "product_id": product, "event_type": "view"})
    while strategy() == before:
        if time.perf_counter() - begun > 30:
            raise RuntimeError("the recommendation did not change within 30 s")
        time.sleep(0.002)
    return (time.perf_counter() - begun) * 1000
