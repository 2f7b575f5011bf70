"""A mixed load on functions served as deployed: more of it until answers are late, then half of that for an hour.

``python -m benchmarks.stress`` prints the rate at which the 95th percentile passes MAX_P95_MS, and afterwards, at half
of it, how the memory of each function grows. Exit code 1 if a function grows, or if requests fail.

Requests start at the times of a plan, whether earlier ones have been answered or not, and latency counts from the
planned time: a function that falls behind is not spared.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import orjson
import psutil

from benchmarks.frame import Bench, bench, make_topic
from benchmarks.load import get, post
from delivery.demand import MIX
from shared import messages
from shared.clients.postgres import write

FUNCTIONS: Final = ("recommendations", "products", "events", "cart")
MAX_P95_MS: Final = 100.0
MAX_FAILED_SHARE: Final = 0.001
FIRST_RATE: Final = 20.0
MIN_RATE: Final = 2.0
GROWTH: Final = 1.3
STEP_S: Final = 8.0
# of each function: more may wait in the plan, and is then late
CONNECTIONS: Final = 32
# what allocators and caches may still take after the first quarter
MAX_GROWN_MIB: Final = 16.0
SAMPLE_S: Final = 2.0
# between two lines of progress
REPORT_S: Final = 60.0
# carts that are filled before they are bought
CARTS_AHEAD: Final = 50


@dataclass
class Step:
    """What a load did: latencies in milliseconds, ascending once it is over."""

    rate: float
    latencies_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def p95_ms(self) -> float:
        """The latency that 95 % of the requests did not exceed."""
        return percentile(self.latencies_ms, 0.95)

    @property
    def is_late(self) -> bool:
        """Whether the functions no longer keep up."""
        failed = len(self.failures) / max(1, len(self.latencies_ms))
        return self.p95_ms > MAX_P95_MS or failed > MAX_FAILED_SHARE


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of ``values`` does not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the least-squares line through ``(x, y)``; 0 with fewer than two different x."""
    mean_x = sum(x for x, _ in points) / max(1, len(points))
    mean_y = sum(y for _, y in points) / max(1, len(points))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


class Shoppers:
    """Makes the requests of the mix, each with the function that answers it."""

    def __init__(self, products: int, seed: int = 1) -> None:
        self.products = products
        self.chance = random.Random(seed)
        self.carts = 0
        self.bought = 0

    def next(self) -> tuple[str, bytes]:
        """Return a function and a request."""
        kind = self.chance.choices(list(MIX), list(MIX.values()))[0]
        user, product = self.chance.randrange(2000), self.chance.randint(1, self.products)
        if kind == "checkout" and self.bought + CARTS_AHEAD > self.carts:
            # no cart has been filled long enough ago
            kind = "cart"
        if kind == "recommendations":
            return "recommendations", get(f"/recommendations?user_id=user-{user}&k=10")
        if kind == "trending":
            return "recommendations", get("/trending?k=10")
        if kind == "product":
            return "products", get(f"/products/{product}")
        if kind == "search":
            return "products", get(
                f"/products?search={self.chance.choice(('lamp', 'tent', 'book', 'pan'))}&page_size=20"
            )
        if kind == "event":
            event = {"user_id": f"user-{user}", "product_id": product, "event_type": "view"}
            return "events", post("/events", orjson.dumps(event))
        if kind == "cart":
            self.carts += 1
            item = orjson.dumps({"product_id": product, "quantity": 1})
            return "cart", post(f"/cart/items?user_id=stress-{self.carts}", item)
        self.bought += 1
        key = f"Idempotency-Key: stress-{self.bought}\r\n"
        return "cart", post(f"/cart/checkout?user_id=stress-{self.bought}", b"{}", key)


class Connections:
    """Keep-alive connections to one function."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self.host, self.port = address.hostname or "127.0.0.1", address.port or 80
        self.free: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter] | None] = asyncio.LifoQueue()
        for _ in range(CONNECTIONS):
            self.free.put_nowait(None)

    async def send(self, request: bytes) -> int:
        """Return the status of the answer; 0 if none came.

        A server closes a connection that was idle for seconds, which may cross a request on its way. Such a request is
        sent again over a new connection, as HTTP clients do (RFC 9112, section 9.3.1).
        """
        connection = await self.free.get()
        try:
            while True:
                was_idle = connection is not None
                reader, writer = connection or await asyncio.open_connection(self.host, self.port)
                connection = None
                try:
                    status = await answered(request, reader, writer)
                except (ConnectionError, asyncio.IncompleteReadError) as error:
                    writer.close()
                    if was_idle and not getattr(error, "partial", b""):
                        continue
                    return 0
                connection = reader, writer
                return status
        except (OSError, EOFError, asyncio.LimitOverrunError):
            return 0
        finally:
            self.free.put_nowait(connection)

    def close(self) -> None:
        """Close all connections that are not in use."""
        while not self.free.empty():
            connection = self.free.get_nowait()
            if connection is not None:
                connection[1].close()


async def answered(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """Send a request over a connection, read its answer and return the status."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    if length:
        await reader.readexactly(int(length))
    else:
        await reader.readuntil(b"0\r\n\r\n")
    return int(head.split(b" ", 2)[1])


async def load(
    urls: dict[str, str], shoppers: Shoppers, rate: float, seconds: float, watch: Callable[[Step], None] | None = None
) -> Step:
    """Send ``rate`` requests a second for ``seconds``, and call ``watch`` with what was seen so far every SAMPLE_S."""
    step = Step(rate)
    connections = {name: Connections(url) for name, url in urls.items()}
    running: set[asyncio.Task[None]] = set()

    async def send(planned: float) -> None:
        function, request = shoppers.next()
        status = await connections[function].send(request)
        step.latencies_ms.append((time.perf_counter() - planned) * 1000)
        if not 200 <= status < 300:
            step.failures.append(f"{status} {request.split(b' ', 2)[1].decode().partition('?')[0]}")

    begun = time.perf_counter()
    watched = begun
    for number in range(int(rate * seconds)):
        planned = begun + number / rate
        if (wait := planned - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(send(planned))
        running.add(task)
        task.add_done_callback(running.discard)
        if watch is not None and time.perf_counter() - watched >= SAMPLE_S:
            watched = time.perf_counter()
            watch(step)
    if running:
        await asyncio.wait(running, timeout=30)
    for pool in connections.values():
        pool.close()
    return step


def grow(run: Callable[[float], Step], say: Callable[[str], None]) -> tuple[float, Step]:
    """Return the last rate that the functions kept up with, and the step at which they did not.

    ``run`` sends so many requests a second. A machine that is late at FIRST_RATE begins at the half of it, and so on
    down to MIN_RATE; the rate is 0 if it is late there too.
    """
    rate, kept = FIRST_RATE, 0.0
    while True:
        step = run(rate)
        if step.is_late:
            # once more: a single burst of another process is no limit
            step = run(rate)
        say(
            f"{rate:.1f}/s: p50 {percentile(step.latencies_ms, 0.5):.1f} ms, p95 {step.p95_ms:.1f} ms, "
            f"{len(step.failures)} failed"
        )
        if not step.is_late:
            rate, kept = rate * GROWTH, rate
            continue
        for failure in sorted(set(step.failures)):
            say(f"  {step.failures.count(failure)} × {failure}")
        if kept or rate / 2 < MIN_RATE:
            return kept, step
        rate /= 2


def memory_mib(processes: Iterable[psutil.Process]) -> float:
    """Return the resident memory of processes with their children."""
    total = 0
    for process in processes:
        for member in (process, *process.children(recursive=True)):
            total += member.memory_info().rss
    return total / 2**20


@dataclass(frozen=True)
class Growth:
    """The memory of a function during the soak."""

    function: str
    first_mib: float
    last_mib: float
    mib_per_hour: float
    seconds: float

    @property
    def is_leak(self) -> bool:
        """Whether the line through the samples grows by more than caches explain."""
        return self.mib_per_hour * self.seconds / 3600 > MAX_GROWN_MIB


def growth(function: str, points: Sequence[tuple[float, float]]) -> Growth:
    """Return how memory grew after the first quarter, in which caches fill. ``points`` are seconds and MiB."""
    later = points[len(points) // 4 :]
    if len(later) < 2:
        raise ValueError("too few samples to see growth; run longer")
    return Growth(function, later[0][1], later[-1][1], slope(later) * 3600, later[-1][0] - later[0][0])


def stress(running: Bench, minutes: float, say: Callable[[str], None]) -> bool:
    """Grow, then soak; print both and return whether nothing failed and nothing grew."""
    for topic in (messages.USER_EVENTS, messages.CATALOG_CHANGES):
        make_topic(running, topic)
    write("UPDATE products SET quantity = 1000000, is_active = true")
    with ExitStack() as stack:
        urls = {name: stack.enter_context(running.serving(name, RATE_LIMIT_PER_MINUTE="0")) for name in FUNCTIONS}
        served = {
            name: [child for child in psutil.Process().children() if name in child.cmdline()] for name in FUNCTIONS
        }
        shoppers = Shoppers(running.products)
        kept, late = grow(lambda rate: asyncio.run(load(urls, shoppers, rate, STEP_S)), say)
        print(
            f"p95 passes {MAX_P95_MS:.0f} ms at {late.rate:.1f} requests/s ({late.p95_ms:.0f} ms); "
            f"the last rate below it is {kept:.1f}/s"
        )
        if not kept:
            print(f"FAILED: the functions are late at every rate, down to {late.rate:.1f}/s")
            return False
        points: dict[str, list[tuple[float, float]]] = {name: [] for name in FUNCTIONS}
        begun = time.perf_counter()
        due = REPORT_S

        def watch(seen: Step) -> None:
            nonlocal due
            elapsed = time.perf_counter() - begun
            for name, processes in served.items():
                points[name].append((elapsed, memory_mib(processes)))
            if elapsed >= due:
                due += REPORT_S
                memory = ", ".join(f"{name} {points[name][-1][1]:.0f} MiB" for name in FUNCTIONS)
                say(
                    f"{elapsed / 60:.0f} of {minutes:g} min: {len(seen.latencies_ms):,} requests, "
                    f"{len(seen.failures)} failed; {memory}"
                )

        step = asyncio.run(load(urls, shoppers, kept / 2, minutes * 60, watch))
    grown = [growth(name, points[name]) for name in FUNCTIONS]
    print(
        f"\n{kept / 2:.1f} requests/s for {minutes:g} minutes: {len(step.latencies_ms):,} requests, "
        f"p95 {step.p95_ms:.1f} ms, {len(step.failures)} failed\n"
    )
    print("| function | after a quarter | at the end | growth by the hour | leak |\n|---|--:|--:|--:|---|")
    for row in grown:
        print(
            f"| {row.function} | {row.first_mib:.0f} MiB | {row.last_mib:.0f} MiB | {row.mib_per_hour:+.1f} MiB "
            f"| {'YES' if row.is_leak else 'no'} |"
        )
    for failure in sorted(set(step.failures)):
        print(f"FAILED: {step.failures.count(failure)} × {failure}")
    return not step.failures and not any(row.is_leak for row in grown)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="./aisle stress", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="at half the load (default: %(default)s)")
    parser.add_argument("--products", type=int, default=2_000)
    parser.add_argument("--events", type=int, default=100_000)
    options = parser.parse_args()

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with bench(options.products, options.events, say) as running:
        return 0 if stress(running, options.minutes, say) else 1


if __name__ == "__main__":
    sys.exit(main())
