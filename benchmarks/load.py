"""A load generator that is light enough not to limit the figures: raw HTTP/1.1 over keep-alive connections.

It parses no more of an answer than its end; a general HTTP client would cost more than the functions it measures.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Measured:
    """The result of a run. Latencies in milliseconds, ascending."""

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
    """Sends the next request as soon as the last is answered."""

    def __init__(self, requests: Iterator[bytes], is_over: Callable[[], bool], end: "asyncio.Future[None]") -> None:
        self.requests, self.is_over, self.end = requests, is_over, end
        self.buffer = b""
        self.latencies: list[float] = []
        self.failures = 0
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's is no subclass
        self.send_next()

    def send_next(self) -> None:
        request = None if self.is_over() else next(self.requests, None)
        if request is None:
            self.transport.close()
            if not self.end.done():
                self.end.set_result(None)
            return
        self.sent_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        head_end = self.buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self.buffer[:head_end].lower()
        start = head.find(b"content-length:")
        if start >= 0:
            stop = head.find(b"\r\n", start)
            length = int(head[start + 15 : stop if stop > 0 else None])
            if len(self.buffer) < head_end + 4 + length:
                return
        elif b"transfer-encoding: chunked" in head and not self.buffer.endswith(b"0\r\n\r\n"):
            return
        self.latencies.append((time.perf_counter() - self.sent_at) * 1000)
        if not head.startswith((b"http/1.1 2", b"http/1.0 2")):
            self.failures += 1
        self.buffer = b""
        if b"connection: close" in head:
            self.transport.close()
            if not self.end.done():
                self.end.set_exception(ConnectionError("the server closes connections"))
            return
        self.send_next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.end.done():
            self.end.set_exception(error or ConnectionError("the server closed the connection"))


def _same(connection: _Connection) -> _Connection:
    return connection


async def _run(url: str, requests: Iterator[bytes], connections: int, is_over: Callable[[], bool]) -> Measured:
    address = urlsplit(url)
    host, port = address.hostname or "127.0.0.1", address.port or 80
    loop = asyncio.get_running_loop()
    opened: list[_Connection] = []
    started = time.perf_counter()
    waits = []
    for _ in range(connections):
        end: asyncio.Future[None] = loop.create_future()
        connection = _Connection(requests, is_over, end)
        opened.append(connection)
        waits.append(end)
        await loop.create_connection(partial(_same, connection), host, port)
    await asyncio.gather(*waits)
    seconds = time.perf_counter() - started
    latencies = sorted(latency for connection in opened for latency in connection.latencies)
    return Measured(seconds, latencies, sum(connection.failures for connection in opened))


def load(url: str, requests: list[bytes], *, connections: int, seconds: float | None = None) -> Measured:
    """Send ``requests`` over ``connections``: repeatedly for ``seconds``, or each once if that is None."""
    import uvloop

    if seconds is None:
        return uvloop.run(_run(url, iter(requests), connections, lambda: False))
    end = time.perf_counter() + seconds
    return uvloop.run(_run(url, cycle(requests), connections, lambda: time.perf_counter() > end))
