"""A small HTTP/1.1 client for pushing: POST, report the status, keep the connection. httptools parses the answers.

One endpoint, callbacks instead of tasks: a push costs tens of microseconds, where a general client costs hundreds.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import httptools

CONNECT_TIMEOUT_S = 10.0
MAX_HEADER_BYTES = 65_536

Outcome = int | Exception
"""A status, or the reason why there is none."""
OnOutcome = Callable[[Outcome], None]


class NotSent(ConnectionError):
    """No connection could be made, so the endpoint has not seen the request."""


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

    def post(self, headers: str, body: bytes, timeout_s: float, on_outcome: OnOutcome) -> None:
        """Send a request. ``on_outcome`` is called once, with the outcome."""
        request = f"{self._head}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                # the endpoint may have closed an idle connection without us knowing yet: that is worth a second try
                connection.send(
                    request, timeout_s, _OnStale(on_outcome, lambda: self._connect(request, timeout_s, on_outcome))
                )
                return
        self._connect(request, timeout_s, on_outcome)

    def close(self) -> None:
        """Close every connection. Requests under way end with an error."""
        self._closed = True
        for task in self._connecting:
            task.cancel()
        for connection in list(self._open):
            connection.close()

    def _connect(self, request: bytes, timeout_s: float, on_outcome: OnOutcome) -> None:
        task = asyncio.get_running_loop().create_task(self._connect_and_send(request, timeout_s, on_outcome))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect_and_send(self, request: bytes, timeout_s: float, on_outcome: OnOutcome) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(min(CONNECT_TIMEOUT_S, timeout_s)):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self._give_back), self._host, self._port, ssl=self._tls
                )
        except (OSError, TimeoutError) as error:
            on_outcome(NotSent(str(error)))
            return
        except asyncio.CancelledError:
            on_outcome(NotSent("stopped"))
            raise
        self._open.add(connection)
        connection.send(request, timeout_s, on_outcome)

    def _give_back(self, connection: "_Connection", reusable: bool) -> None:
        if reusable and not self._closed:
            self._idle.append(connection)
            return
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)


class _OnStale:
    """Calls ``again`` instead of ``on_outcome`` when a reused connection turned out to be closed before any answer."""

    def __init__(self, on_outcome: OnOutcome, again: Callable[[], None]) -> None:
        self._on_outcome = on_outcome
        self._again = again

    def __call__(self, outcome: Outcome) -> None:
        if isinstance(outcome, ConnectionResetError):
            self._again()
        else:
            self._on_outcome(outcome)


class _Connection(asyncio.Protocol):
    """One request at a time. The status settles it; the body is read only to find where the next answer begins."""

    def __init__(self, give_back: Callable[["_Connection", bool], None]) -> None:
        self._give_back = give_back
        self._transport: asyncio.Transport | None = None
        self._on_outcome: OnOutcome | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._head_bytes = 0
        self._status: int | None = None
        self._complete = self._keep = False

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes, timeout_s: float, on_outcome: OnOutcome) -> None:
        self._on_outcome = on_outcome
        self._parser = httptools.HttpResponseParser(self)
        self._head_bytes = 0
        self._status = None
        self._complete = self._keep = False
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self._timed_out)
        if self._transport is None or self._transport.is_closing():
            self._settle(ConnectionResetError("closed"))
            return
        self._transport.write(request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transport does not inherit from it

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        begun = self._head_bytes > 0
        self._settle(ConnectionAbortedError("the answer ends early") if begun else ConnectionResetError("closed"))
        self._give_back(self, False)

    def data_received(self, data: bytes) -> None:
        if self._timer is None:
            # no request is under way, so this is no answer
            self.close()
            return
        if self._status is None:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ValueError(f"not an HTTP/1.1 answer: {error}"))
            return
        if self._status is not None:
            self._report(self._status)
            if self._complete:
                self._end()
        elif self._head_bytes > MAX_HEADER_BYTES:
            self._fail(ValueError("the answer's head is too long"))

    # what the parser calls

    def on_message_begin(self) -> None:
        if self._complete:
            self._keep = False  # a second answer to one request would be taken for the next request's

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        # after an interim answer the final one follows; 102 alone is final for Pub/Sub
        if self._status is None and (status >= 200 or status == 102):
            self._status = status

    def on_message_complete(self) -> None:
        if self._status is not None and not self._complete:
            self._complete = True
            # after a 102 the endpoint may still send its final answer
            self._keep = self._parser.should_keep_alive() and self._status != 102

    def _end(self) -> None:
        self._cancel_timer()
        if self._keep and self.usable:
            self._give_back(self, True)
        else:
            self.close()

    def _report(self, outcome: Outcome) -> None:
        on_outcome, self._on_outcome = self._on_outcome, None
        if on_outcome is not None:
            on_outcome(outcome)

    def _settle(self, outcome: Outcome) -> None:
        self._cancel_timer()
        self._report(outcome)

    def _fail(self, error: Exception) -> None:
        self._settle(error)
        self.close()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _timed_out(self) -> None:
        self._fail(TimeoutError("no answer in time"))
