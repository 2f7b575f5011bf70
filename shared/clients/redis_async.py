"""The asynchronous Redis client for the hot path, independent of any key.

hiredis parses the replies, and the commands of concurrent requests are sent in one write. redis-py's asynchronous
client would cost more than everything else about a cached answer (docs/decisions/0003-redis-on-the-hot-path.md). Off
the hot path, redis_sync.py is used.
"""

import asyncio
import logging
import ssl
import time
from collections import deque
from contextlib import suppress
from functools import cache
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import hiredis

from shared.clients import closed_on_reset
from shared.settings import settings
from shared.telemetry import spans

log = logging.getLogger(__name__)

# Seconds during which requests bypass Redis after a failure.
BREAKER_S = 1.0
Reply = Any
Command = tuple[str | bytes | int | float, ...]


class RedisUnavailable(Exception):
    """Redis did not respond in time, or refused a command: bypass it."""


class _Protocol(asyncio.Protocol):
    """One connection. All commands issued in one iteration of the event loop are sent in one write."""

    def __init__(self) -> None:
        self.reader = hiredis.Reader()
        self.waiting: deque[tuple[int, list[Reply], asyncio.Future[list[Reply]]]] = deque()
        self.out: list[bytes] = []
        self.transport: asyncio.Transport | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        reader = self.reader
        reader.feed(data)
        waiting = self.waiting
        while waiting:
            count, replies, future = waiting[0]
            while len(replies) < count:
                reply = reader.gets()
                if reply is False:
                    return
                replies.append(reply)
            waiting.popleft()
            if not future.done():
                future.set_result(replies)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        for _count, _replies, future in self.waiting:
            if not future.done():
                future.set_exception(RedisUnavailable(str(error or "connection closed")))
        self.waiting.clear()

    def send(self, commands: list[Command]) -> "asyncio.Future[list[Reply]]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Reply]] = loop.create_future()
        self.waiting.append((len(commands), [], future))
        if not self.out:
            loop.call_soon(self.flush)
        for command in commands:
            self.out.append(hiredis.pack_command(command))  # type: ignore[arg-type]  # the stub allows pairs only
        return future

    def flush(self) -> None:
        if self.transport is not None and not self.lost:
            self.transport.write(b"".join(self.out))
        self.out.clear()


def _tls(ca: str | None) -> ssl.SSLContext:
    """Return a context that trusts only ``ca`` (PEM), or the system's authorities if ``ca`` is None.

    Memorystore creates a certificate authority for each instance, and its certificates contain no host name. The
    signature alone identifies the instance, so host names are not checked.
    """
    context = ssl.create_default_context(cadata=ca)
    if ca is not None:
        context.check_hostname = False
    return context


class AsyncRedis:
    """A client bound to the running event loop. It connects on first use; every failure raises RedisUnavailable within
    the timeout."""

    def __init__(self, url: str, timeout_s: float, ca: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss"):
            raise ValueError("REDIS_URL must start with redis:// or rediss://")
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 6379
        self.database = int(parts.path.strip("/") or 0)
        self.user, self.password = unquote(parts.username or ""), unquote(parts.password or "")
        self.tls = _tls(ca) if parts.scheme == "rediss" else None
        self.timeout_s = timeout_s
        self.failed_at = float("-inf")
        self.protocol: _Protocol | None = None
        self.connecting: asyncio.Task[_Protocol] | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    async def _connect(self) -> _Protocol:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(_Protocol, self.host, self.port, ssl=self.tls)
        commands: list[Command] = []
        if self.password:
            commands.append(("AUTH", self.user, self.password) if self.user else ("AUTH", self.password))
        if self.database:
            commands.append(("SELECT", self.database))
        if commands:
            for reply in await protocol.send(commands):
                if isinstance(reply, hiredis.ReplyError):
                    # Nothing else refers to this connection, and the event loop would wait for it.
                    transport.abort()
                    raise RedisUnavailable(str(reply))
        if self.connecting is not asyncio.current_task():
            # The client was closed in the meantime, so nothing else would close this connection.
            transport.abort()
            raise RedisUnavailable("closed")
        self.protocol = protocol
        return protocol

    async def run(self, *commands: Command) -> list[Reply]:
        """Send the commands in one write and return their replies (bytes, int, list or None).

        Raises RedisUnavailable if the replies do not arrive within the timeout, if one of them is an error, and
        immediately for BREAKER_S seconds after a failure.
        """
        loop = asyncio.get_running_loop()
        if self.loop is not loop:
            # Tests and reloads run several event loops in one process.
            self.close()
            self.loop = loop
        protocol = self.protocol
        try:
            if protocol is None or protocol.lost:
                if time.monotonic() - self.failed_at < BREAKER_S:
                    raise RedisUnavailable("bypassed: Redis failed less than a second ago")
                if self.connecting is None or self.connecting.done():
                    self.connecting = loop.create_task(self._connect())
                protocol = await asyncio.wait_for(asyncio.shield(self.connecting), self.timeout_s)
            future = protocol.send(list(commands))
            # A timer is cheaper than wait_for, which creates a task.
            timer = loop.call_later(self.timeout_s, _expire, future)
            try:
                with spans.database_call("redis", str(commands[0][0])):
                    replies = await future
            finally:
                timer.cancel()
        except (OSError, TimeoutError, RedisUnavailable) as error:
            self._failed(error)
            raise RedisUnavailable(str(error)) from error
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise RedisUnavailable(str(reply))
        return replies

    def _failed(self, error: Exception) -> None:
        if time.monotonic() - self.failed_at >= BREAKER_S:
            log.warning("redis bypassed", extra={"error": str(error) or type(error).__name__})
            self.failed_at = time.monotonic()
        if self.loop is not asyncio.get_running_loop():
            # The connection now belongs to another event loop, and only that loop's thread may abort it.
            return
        if self.protocol is not None and self.protocol.transport is not None:
            # Late replies must not be mistaken for those of the next command.
            self.protocol.transport.abort()
        self.protocol = None

    def close(self) -> None:
        """Drop the connection. May be called from any thread: the event loop itself aborts the transport."""
        protocol, loop = self.protocol, self.loop
        self.protocol = self.connecting = None
        if protocol is not None and protocol.transport is not None and loop is not None:
            with suppress(RuntimeError):  # the loop is already closed, and its connections with it
                loop.call_soon_threadsafe(protocol.transport.abort)


def _expire(future: "asyncio.Future[list[Reply]]") -> None:
    if not future.done():
        future.set_exception(RedisUnavailable("no reply in time"))


@cache
def client() -> AsyncRedis:
    """Return the process's client."""
    return AsyncRedis(settings().require("redis_url"), settings().redis_timeout_s, settings().redis_ca)


@closed_on_reset
def close() -> None:
    """Drop the connection and forget the client."""
    if client.cache_info().currsize:
        client().close()
    client.cache_clear()
