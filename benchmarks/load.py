"""A load generator light enough not to be what is measured: raw HTTP/1.1 over keep-alive connections, one process."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Measured:
    """What one run saw. Latencies in milliseconds, sorted."""

    seconds: float
    latencies_ms: list[float]
    failures: int

    @property
    def per_second(self) -> float:
        """Completed requests per second."""
        return len(self.latencies_ms) / self.seconds

    def percentile(self, share: float) -> float:
        """Return the latency that this share of the requests did not exceed."""
        if not self.latencies_ms:
            return float("nan")
        return self.latencies_ms[min(len(self.latencies_ms) - 1, int(share * len(self.latencies_ms)))]


def get(path: str, headers: str = "") -> bytes:
    """Return the bytes of a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()


def post(path: str, body: bytes, headers: str = "", media_type: str = "application/json") -> bytes:
    """Return the bytes of a POST request."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n{headers}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the last one is answered."""

    def __init__(self, requests: Iterator[bytes], until: Callable[[], bool], done: "asyncio.Future[None]") -> None:
        self.requests, self.until, self.done = requests, until, done
        self.buffer = b""
        self.latencies: list[float] = []
        self.failures = 0
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's is no subclass
        self.next()

    def next(self) -> None:
        request = None if self.until() else next(self.requests, None)
        if request is None:
            self.transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self.sent_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        start = head.find(b"content-length:")
        if start >= 0:
            stop = head.find(b"\r\n", start)
            length = int(head[start + 15 : stop if stop > 0 else None])
            if len(self.buffer) < end + 4 + length:
                return
        elif b"transfer-encoding: chunked" in head and not self.buffer.endswith(b"0\r\n\r\n"):
            return
        self.latencies.append((time.perf_counter() - self.sent_at) * 1000)
        if not head.startswith((b"http/1.1 2", b"http/1.0 2")):
            self.failures += 1
        self.buffer = b""
        if b"connection: close" in head:
            self.transport.close()
            if not self.done.done():
                self.done.set_exception(ConnectionError("the server closes connections"))
            return
        self.next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))


def _same(connection: _Connection) -> _Connection:
    return connection


async def _run(url: str, requests: Iterator[bytes], connections: int, until: Callable[[], bool]) -> Measured:
    address = urlsplit(url)
    host, port = address.hostname or "127.0.0.1", address.port or 80
    loop = asyncio.get_running_loop()
    made: list[_Connection] = []
    started = time.perf_counter()
    waits = []
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        connection = _Connection(requests, until, done)
        made.append(connection)
        waits.append(done)
        await loop.create_connection(partial(_same, connection), host, port)
    await asyncio.gather(*waits)
    seconds = time.perf_counter() - started
    latencies = sorted(latency for one in made for latency in one.latencies)
    return Measured(seconds, latencies, sum(one.failures for one in made))


def load(url: str, requests: list[bytes], *, connections: int, seconds: float | None = None) -> Measured:
    """Send ``requests`` over ``connections``: round and round for ``seconds``, or each once when that is None."""
    import uvloop

    if seconds is None:
        return uvloop.run(_run(url, iter(requests), connections, lambda: False))
    end = time.perf_counter() + seconds
    return uvloop.run(_run(url, cycle(requests), connections, lambda: time.perf_counter() > end))
