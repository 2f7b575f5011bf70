"""The frame of every benchmark: rows with targets, functions served as deployed, and a shop of a stated size."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from delivery import http
from local.places import ROOT
from local.processes import free_port
from local.services import Services
from local.state import State

RUNS = 5
EMPTY = Path(__file__).parent / "empty.py"


@dataclass(frozen=True)
class Row:
    """A measured figure beside its target. ``at_most``: smaller is better."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_most: bool = False
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached; None if there is no target."""
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    def cells(self) -> tuple[str, str, str, str, str]:
        """Return the row as text."""
        sign = "≤" if self.at_most else "≥"
        target = "" if self.target is None else f"{sign} {self.target:g} {self.unit}"
        mark = {True: "yes", False: "NO", None: ""}[self.reached]
        return (
            self.name,
            f"{self.value:,.4g} {self.unit}" if self.value < 1000 else f"{self.value:,.0f} {self.unit}",
            target,
            mark,
            self.note,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the row for the JSON report."""
        return asdict(self) | {"reached": self.reached}


@dataclass
class Bench:
    """The running services and the size of the shop. Benchmarks start the functions that they need."""

    environment: dict[str, str]
    products: int
    events: int
    say: Callable[[str], None] = field(default=lambda _line: None)

    @contextmanager
    def serving(self, target: str, *, source: Path = ROOT / "main.py", **settings: str) -> Iterator[str]:
        """Serve a function with functions-framework, in a process of its own, and yield its URL."""
        port = free_port()
        with started(command(target, source, port), self.environment | settings, port) as url:
            yield url


def command(target: str, source: Path, port: int) -> list[str]:
    """Return the command that serves a function as it is deployed."""
    program = str(Path(sys.executable).with_name("functions-framework"))
    return [program, "--target", target, "--source", str(source), "--host", "127.0.0.1", "--port", str(port)]


@contextmanager
def started(arguments: Sequence[str], settings: Mapping[str, str], port: int) -> Iterator[str]:
    """Run a server until the block ends. Raises RuntimeError with its output if it does not start."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(arguments, env=os.environ | dict(settings), stdout=output, stderr=output)
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(f"{url}/health", process)
            yield url
        except TimeoutError:
            output.seek(0)
            raise RuntimeError(f"{' '.join(arguments)} did not start:\n{output.read().decode()[-2000:]}") from None
        except Exception as error:
            # the cause of an answer that the benchmark did not expect
            output.seek(0)
            error.add_note(f"{' '.join(arguments)} wrote:\n{output.read().decode()[-4000:]}")
            raise
        finally:
            process.terminate()
            process.wait(60)


def wait_for(url: str, process: "subprocess.Popen[bytes]", timeout_s: float = 120) -> float:
    """Wait for any HTTP answer and return the seconds it took. Raises TimeoutError, also if the process ends."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < timeout_s and process.poll() is None:
        try:
            http.get(url, timeout_s=5)
        except http.NoAnswer:
            time.sleep(0.002)
        else:
            return time.perf_counter() - begun
    raise TimeoutError(url)


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


@contextmanager
def services(say: Callable[[str], None]) -> Iterator[Services]:
    """Start Postgres, Redis and Pub/Sub on a fresh state folder, point this process to them, and migrate."""
    with tempfile.TemporaryDirectory(prefix="aisle-bench-") as folder:
        os.chmod(folder, 0o711)
        with Services(
            State.create(Path(folder) / "state"), report=say, own={"PATH": os.environ.get("PATH", "")}
        ) as running:
            running.environment |= {"RATE_LIMIT_PER_MINUTE": "1000000000", "LOG_LEVEL": "ERROR"}
            os.environ.update(running.environment)
            from shared import clients
            from shared.storage.schema.migrations import migrate

            clients.reset()
            migrate()
            yield running
            clients.reset()


@contextmanager
def bench(products: int, events: int, say: Callable[[str], None]) -> Iterator[Bench]:
    """Start the services and load a synthetic shop of this size."""
    with services(say) as running:
        from local import data

        say(f"loading {products:,} products and {events:,} events")
        data.load("synthetic", {"products": products, "events": events, "users": max(500, events // 100)}, say)
        run_jobs(say)
        yield Bench(dict(running.environment), products, events, say)


def make_topic(bench: Bench, topic: str) -> None:
    """Create a topic without subscriptions, unless it exists."""
    from google.api_core.exceptions import AlreadyExists
    from google.cloud import pubsub_v1

    publisher = pubsub_v1.PublisherClient()
    with suppress(AlreadyExists):
        publisher.create_topic(name=publisher.topic_path(bench.environment["GOOGLE_CLOUD_PROJECT"], topic))
    publisher.stop()
    publisher.transport.close()


def run_jobs(say: Callable[[str], None]) -> None:
    """Complete the loaded shop: trending and popular products, and a briefly tuned model."""
    from jobs.popular import Popular, popular
    from jobs.similarity import Similarity, similarity
    from jobs.trending import Trending, trending

    for entry, parameters in ((trending, Trending()), (popular, Popular()), (similarity, Similarity(time_budget_s=20))):
        say(f"{entry.__name__}: {entry.run(parameters)['seconds']} s")


def at_least_one(text: str) -> int:
    """Return how many things to measure, for ``argparse``. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)
