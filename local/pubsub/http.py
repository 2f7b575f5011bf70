"""A small HTTP/1.1 client for pushing: POST, look at the status, keep the connection.

One endpoint, callbacks instead of tasks: a push costs tens of microseconds, where a general client costs hundreds.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

CONNECT_TIMEOUT_S = 10.0
MAX_HEADER_BYTES = 65_536

Outcome = int | Exception
Done = Callable[[Outcome], None]


class NotSent(ConnectionError):
    """No connection could be made: nobody has seen the request."""


class Endpoint:
    """A URL to post to, and the idle connections to its host."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        host = f"[{self._host}]" if ":" in self._host else self._host
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._head = (
            f"POST {target} HTTP/1.1\r\nHost: {host}{f':{parts.port}' if parts.port else ''}\r\n"
            "User-Agent: CloudPubSub-Google\r\nAccept: */*\r\n"
        )
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._closed = False

    def post(self, headers: str, body: bytes, timeout_s: float, done: Done) -> None:
        """Send; ``done`` is called once, with the status or with what went wrong."""
        request = f"{self._head}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                # the endpoint may have closed an idle connection without us knowing yet: that is worth a second try
                connection.send(request, timeout_s, _OnStale(done, lambda: self._connect(request, timeout_s, done)))
                return
        self._connect(request, timeout_s, done)

    def close(self) -> None:
        self._closed = True
        for task in self._connecting:
            task.cancel()
        for connection in list(self._open):
            connection.close()

    def _connect(self, request: bytes, timeout_s: float, done: Done) -> None:
        task = asyncio.get_running_loop().create_task(self._connect_and_send(request, timeout_s, done))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect_and_send(self, request: bytes, timeout_s: float, done: Done) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(min(CONNECT_TIMEOUT_S, timeout_s)):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self._give_back), self._host, self._port, ssl=self._tls
                )
        except (OSError, TimeoutError) as error:
            done(NotSent(str(error)))
            return
        except asyncio.CancelledError:
            done(NotSent("stopped"))
            raise
        self._open.add(connection)
        connection.send(request, timeout_s, done)

    def _give_back(self, connection: "_Connection", reusable: bool) -> None:
        if reusable and not self._closed:
            self._idle.append(connection)
            return
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)


class _OnStale:
    """Calls ``again`` instead of ``done`` when a reused connection turned out to be closed before any answer."""

    def __init__(self, done: Done, again: Callable[[], None]) -> None:
        self._done = done
        self._again = again

    def __call__(self, outcome: Outcome) -> None:
        if isinstance(outcome, ConnectionResetError):
            self._again()
        else:
            self._done(outcome)


class _Connection(asyncio.Protocol):
    """One request at a time; what follows the status is read only to know where the next answer begins."""

    def __init__(self, give_back: Callable[["_Connection", bool], None]) -> None:
        self._give_back = give_back
        self._transport: asyncio.Transport | None = None
        self._done: Done | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._buffer = b""
        self._body_left: int | None = 0
        self._chunked = False
        self._answered = False
        self._keep_alive = True

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes, timeout_s: float, done: Done) -> None:
        self._done = done
        self._answered = False
        self._buffer = b""
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self._timed_out)
        if self._transport is None or self._transport.is_closing():
            self._finish(ConnectionResetError("closed"))
            return
        self._transport.write(request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by name

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        started = bool(self._buffer)
        self._finish(ConnectionAbortedError("the answer ends early") if started else ConnectionResetError("closed"))
        self._give_back(self, False)

    def data_received(self, data: bytes) -> None:
        if self._timer is None:
            # nobody asked: whatever this is, it is no answer
            self.close()
            return
        self._buffer += data
        while not self._answered:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                if len(head) > MAX_HEADER_BYTES:
                    self._finish(ValueError("the answer's head is too long"))
                    self.close()
                return
            self._buffer = rest
            try:
                self._read_head(head)
            except ValueError as error:
                self._finish(error)
                self.close()
                return
        self._read_body()

    def _read_head(self, head: bytes) -> None:
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, _, rest = status_line.partition(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError(f"not an HTTP/1 answer: {status_line[:50]!r}")
        status = int(rest[:3])
        if status < 200 and status != 102:
            return  # an interim answer: the real one follows
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._answered = True
        # a 102 settles the matter for Pub/Sub, but what follows it on the connection is anyone's guess
        self._keep_alive = headers.get("connection", "").lower() != "close" and version == "HTTP/1.1" and status != 102
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        if status in (102, 204, 304):
            self._chunked, self._body_left = False, 0
        elif "content-length" in headers:
            self._body_left = int(headers["content-length"])
        else:
            self._body_left = None  # until the connection closes
        self._answer(status)

    def _read_body(self) -> None:
        if self._chunked:
            while (line_end := self._buffer.find(b"\r\n")) >= 0:
                try:
                    size = int(self._buffer[:line_end].split(b";")[0], 16)
                except ValueError:
                    self.close()
                    return
                chunk_end = line_end + 2 + size + 2
                if len(self._buffer) < chunk_end:
                    return
                self._buffer = self._buffer[chunk_end:]
                if size == 0:
                    # trailers are so rare that a connection which has some is simply not used again
                    self._end(reusable=not self._buffer)
                    return
            return
        if self._body_left is None:
            self._buffer = b""
            return
        self._body_left -= len(self._buffer)
        self._buffer = b""
        if self._body_left <= 0:
            self._end(reusable=self._body_left == 0)

    def _answer(self, outcome: Outcome) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(outcome)

    def _end(self, reusable: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if reusable and self._keep_alive and self.usable:
            self._give_back(self, True)
        else:
            self.close()

    def _finish(self, outcome: Outcome) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._answer(outcome)

    def _timed_out(self) -> None:
        self._finish(TimeoutError("no answer in time"))
        self.close()
