"""The sockets of the driver's connections: timeouts for a silent server, and detection of a lost one.

A stopped server, a failover and a firewall that drops a connection all look alike: neither data nor an error arrives.
Only a timeout ends such a wait (docs/decisions/0052-bounded-waits.md).
"""

from __future__ import annotations

import io
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from weakref import WeakKeyDictionary

# Seconds that a socket waits beyond the statement's own limit, so that the server cancels a slow statement first and
# its error can still arrive.
GRACE_S: Final = 3.0
# Milliseconds that sent bytes may stay unacknowledged before the kernel gives up the connection.
UNACKNOWLEDGED_MS: Final = 8_000
# The kernel probes a connection idle for this long, again after each interval, and gives up after the last probe.
KEEPALIVE_IDLE_S: Final = 5
KEEPALIVE_INTERVAL_S: Final = 2
KEEPALIVE_PROBES: Final = 3


class Wire(socket.SocketIO):
    """The unbuffered stream of a connection. Converts every socket failure to the driver's InterfaceError.

    The driver itself lets a timeout of its first read propagate unchanged, which looks like a file or stream error.
    """

    def __init__(self, wire: socket.socket) -> None:
        super().__init__(wire, "rw")
        # When the current read began to wait; None if no read is waiting.
        self.waiting_since: float | None = None

    def readinto(self, buffer: Any) -> int | None:
        """Read into ``buffer``. Raises the driver's InterfaceError."""
        self.waiting_since = time.monotonic()
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise _failure(error) from error
        finally:
            self.waiting_since = None


def _failure(error: OSError) -> Exception:
    from pg8000.exceptions import InterfaceError

    reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
    failure: Exception = InterfaceError(f"network error: {reason}")
    return failure


_wires: WeakKeyDictionary[Any, Wire] = WeakKeyDictionary()


def watch(connection: Any, timeout_s: float) -> None:
    """Make a new driver connection detect a lost peer, and wait at most ``timeout_s`` seconds for a response."""
    wire: socket.socket = connection._usock
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        # A statement is written in parts. With Nagle's algorithm, the kernel holds a part back until the server has
        # acknowledged the previous one, which servers delay by 40 ms. This slowed down every COPY and each statement
        # longer than a buffer.
        ("TCP_NODELAY", 1),
        ("TCP_USER_TIMEOUT", UNACKNOWLEDGED_MS),
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
    ):
        # Not every system has all of these options, and a Unix socket has none.
        if hasattr(socket, name):
            with suppress(OSError):
                wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    wire.settimeout(timeout_s)
    raw = _wires[connection] = Wire(wire)
    connection._sock = io.BufferedRWPair(raw, raw)


def answer_deadline_s(statement_timeout_s: float) -> float | None:
    """Return how many seconds to wait for the result of a statement with this limit; None if it has no limit."""
    return statement_timeout_s + GRACE_S if statement_timeout_s else None


@contextmanager
def deadline(connection: Any, timeout_s: float | None) -> Iterator[None]:
    """Wait at most ``timeout_s`` seconds for each response inside the block; None means no limit."""
    wire: socket.socket = connection._usock
    before = wire.gettimeout()
    wire.settimeout(timeout_s)
    try:
        yield
    finally:
        # A connection that broke in the block is closed.
        with suppress(OSError):
            wire.settimeout(before)


def drop(connection: Any) -> None:
    """Close the socket of a broken connection at once.

    The driver would first send a termination message, which blocks on a silent peer once the socket's buffer is full,
    and would close a broken TLS socket only when its unsent bytes are garbage collected.
    """
    with suppress(OSError, AttributeError):
        os.close(connection._usock.detach())
        # Receives the driver's termination message, which would otherwise fail and be logged as an error.
        connection._sock = io.BytesIO()


def silent_since(connection: Any) -> float | None:
    """Return since when, on the monotonic clock, the connection has been waiting for data from the server; None if it
    is not waiting.
    """
    wire = _wires.get(connection)
    return None if wire is None else wire.waiting_since


def interrupt(connection: Any) -> None:
    """End the wait of another thread for this connection: its read fails as if the peer had closed the connection."""
    with suppress(OSError, TypeError):
        # On the socket below TLS, because the other thread is using the TLS state.
        socket.socket.shutdown(connection._usock, socket.SHUT_RDWR)


def backend_pid(connection: Any) -> int | None:
    """Return the id of the server process of a connection, as the server sent it; None if it sent none."""
    data = getattr(connection, "_backend_key_data", None)
    return struct.unpack_from("!i", data)[0] if data else None
