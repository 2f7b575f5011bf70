"""What Redis spends on an operation while it is busy: its commands are recorded, and sent again without a pause.

A function that is measured alone wakes an idle Redis with each write. Waking up, and caches of the processor that other
programs have filled meanwhile, then cost several times what the commands cost; a busy server pays neither. So what
clients write is recorded on its way, and sent again by connections that never wait. The server's own count of its main
thread is compared before and after: its unit is a microsecond, while the kernel's is a hundredth of a second.
"""

import asyncio
import socket
import statistics
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import hiredis

from benchmarks.redis_pair import Pair, main_thread_s

REPLAYS: Final = 5
# Instances keep a connection each. Of their writes, a thread that is six tenths busy finds one or two at a time.
CONNECTIONS: Final = 64
UNDER_WAY: Final = 2
RECEIVED_BYTES: Final = 1 << 20
# commands with which a connection begins; the recording is sent to another server, which has no password
OPENING: Final = (b"AUTH", b"SELECT", b"CLIENT", b"HELLO")

# replies of PTTL
FOR_EVER: Final = -1
EXPIRED: Final = -2

# words of a command
Command = Sequence[bytes]


class Write(NamedTuple):
    """What a client sent in one write, and the number of replies to it."""

    data: bytes
    replies: int


class Assembler:
    """Cuts the bytes of one connection into writes: each ends where a command ends and nothing else has arrived."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._commands: list[Command] = []

    def feed(self, data: bytes) -> Write | None:
        """Return the write that these bytes complete; None if a command goes on, or if none of them counts."""
        self._reader.feed(data)
        while (command := self._reader.gets()) is not False:
            self._commands.append(command)
        if self._reader.has_data():
            return None
        kept = [command for command in self._commands if command[0].upper() not in OPENING]
        self._commands.clear()
        return Write(b"".join(map(packed, kept)), len(kept)) if kept else None


def packed(command: Command) -> bytes:
    """Return a command as a client sends it."""
    return bytes(hiredis.pack_command(tuple(command)))  # type: ignore[arg-type]  # the stub allows pairs only


@dataclass
class Recorder:
    """A proxy in front of Redis that records what clients write. ``url`` leads through it."""

    url: str
    _target: tuple[str, int]
    _listener: socket.socket
    _writes: list[Write] = field(default_factory=list)

    def take(self) -> list[Write]:
        """Return the writes since the last call."""
        writes, self._writes = self._writes, []
        return writes

    def serve(self) -> None:
        """Forward connections until the listener is shut down, and then close them."""
        opened: list[socket.socket] = []
        threads: list[threading.Thread] = []
        with suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                opened.append(client)
                server = socket.create_connection(self._target)
                opened.append(server)
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for ends in ((client, server, Assembler()), (server, client, None)):
                    threads.append(threading.Thread(target=self._forward, args=ends))
                    threads[-1].start()
        shut_down(*opened)
        for thread in threads:
            thread.join()
        for end in opened:
            end.close()

    def _forward(self, source: socket.socket, destination: socket.socket, assembler: Assembler | None) -> None:
        with suppress(OSError):
            while data := source.recv(RECEIVED_BYTES):
                # recorded before it is sent, and so before the reply
                if assembler is not None and (write := assembler.feed(data)):
                    self._writes.append(write)
                destination.sendall(data)
        shut_down(source, destination)


def shut_down(*ends: socket.socket) -> None:
    """End what is received and sent. Closing alone would not wake a thread that waits."""
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def recording(url: str) -> Iterator[Recorder]:
    """Run a recorder in front of the server at ``url``."""
    parts = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        own = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{listener.getsockname()[1]}"))
        recorder = Recorder(own, (parts.hostname or "127.0.0.1", parts.port or 6379), listener)
        thread = threading.Thread(target=recorder.serve)
        thread.start()
        try:
            yield recorder
        finally:
            shut_down(listener)
            thread.join()


def snapshot(redis: Any) -> list[Command]:
    """Return the commands that make all strings, hashes and sorted sets of a server again, with the time they live."""
    commands: list[Command] = []
    for key in redis.scan_iter(count=10_000):
        kind = redis.type(key)
        command: Command = ()
        if kind == b"string":
            command = (b"SET", key, redis.get(key))
        elif kind == b"hash":
            command = (b"HSET", key, *(word for pair in redis.hgetall(key).items() for word in pair))
        elif kind == b"zset":
            members = redis.zrange(key, 0, -1, withscores=True)
            command = (b"ZADD", key, *(word for name, score in members for word in (b"%r" % score, name)))
        elif kind != b"none":
            raise ValueError(f"{key!r} is a {kind!r}")
        lives_ms = redis.pttl(key)
        if lives_ms == EXPIRED:
            # while its value was read
            continue
        commands.append(command)
        if lives_ms != FOR_EVER:
            commands.append((b"PEXPIRE", key, b"%d" % lives_ms))
    return commands


def restore(redis: Any, state: Sequence[Command]) -> None:
    """Replace everything that a server has by a snapshot."""
    redis.flushall(asynchronous=False)
    pipeline = redis.pipeline(transaction=False)
    for command in state:
        pipeline.execute_command(*command)
    pipeline.execute()


@dataclass
class Replay:
    """Sends writes, each once: UNDER_WAY at a time, each over the connection that was idle for longest."""

    writes: Iterator[Write]
    end: "asyncio.Future[None]"
    idle: deque["_Connection"] = field(default_factory=deque)
    under_way: int = 0

    def send_next(self) -> None:
        """Send another write, or end after the last reply."""
        if (write := next(self.writes, None)) is not None:
            self.under_way += 1
            self.idle.popleft().send(write)
        elif not self.under_way and not self.end.done():
            self.end.set_result(None)

    def answered(self, connection: "_Connection") -> None:
        """Continue after a connection has received all its replies."""
        self.under_way -= 1
        self.idle.append(connection)
        self.send_next()

    def failed(self, error: Exception) -> None:
        """End with an error."""
        if not self.end.done():
            self.end.set_exception(error)


class _Connection(asyncio.Protocol):
    """A connection of a replay."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.reader = hiredis.Reader()
        self.missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's is no subclass
        self.replay.idle.append(self)

    def send(self, write: Write) -> None:
        self.missing = write.replies
        self.transport.write(write.data)

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        while self.missing:
            reply = self.reader.gets()
            if reply is False:
                return
            if isinstance(reply, hiredis.ReplyError):
                self.replay.failed(reply)
                return
            self.missing -= 1
        self.replay.answered(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.replay.failed(error or ConnectionError("Redis closed the connection"))


def replay(pair: Pair, writes: Sequence[Write], *, tls: bool = False) -> float:
    """Send all writes to the primary; return the seconds of its main thread. Raises the first error that it answers."""
    import uvloop

    async def run() -> float:
        loop = asyncio.get_running_loop()
        end: asyncio.Future[None] = loop.create_future()
        current = Replay(iter(writes), end)
        port, context = (pair.tls_port, pair.context()) if tls else (pair.port, None)
        opened: list[_Connection] = []
        try:
            for _ in range(CONNECTIONS):
                _transport, connection = await loop.create_connection(
                    lambda: _Connection(current), "127.0.0.1", port, ssl=context
                )
                opened.append(connection)
            # connections stay open for long: opening them is no part of a request
            before = main_thread_s(pair.redis)
            for _ in range(UNDER_WAY):
                current.send_next()
            await end
            return main_thread_s(pair.redis) - before
        finally:
            for connection in opened:
                # the event loop would wait for it
                connection.transport.abort()

    return float(uvloop.run(run()))


class Recorded(NamedTuple):
    """What an operation wrote for a number of requests, and what Redis had before."""

    requests: int
    state: list[Command]
    writes: list[Write]

    def shape(self) -> str:
        """Return how much a request writes."""
        commands = sum(write.replies for write in self.writes) / self.requests
        size = sum(len(write.data) for write in self.writes) / self.requests
        return (
            f"{len(self.writes) / self.requests:.2f} writes of {commands:.2f} commands and {size:,.0f} bytes a request"
        )

    def busy_ms(self, pair: Pair, *, tls: bool = False) -> float:
        """Return the milliseconds of a request that a busy primary spends: the median of REPLAYS from one state."""
        if not self.writes:
            return 0.0
        spent = []
        for _ in range(REPLAYS):
            restore(pair.redis, self.state)
            pair.wait_for_replica()
            spent.append(replay(pair, self.writes, tls=tls))
        return statistics.median(spent) * 1000 / self.requests
