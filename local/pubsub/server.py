"""The server: gRPC in front of a broker, on an event loop in a thread of its own."""

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any, Self

import grpc

from local.pubsub import inspection, streaming
from local.pubsub.broker import Broker
from local.pubsub.errors import StartError
from local.pubsub.publisher import Publisher
from local.pubsub.rpc import Unimplemented, service_handler, unary_handler
from local.pubsub.store import MemoryStore, Store
from local.pubsub.subscriber import Subscriber

MAX_REQUEST_BYTES = 20 * 1024 * 1024
STOP_GRACE_S = 0.2
_OPTIONS = (
    # otherwise two servers could share a port, and each would receive half of the calls
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_send_message_length", -1),
    # clients keep idle streams open for hours and ping them
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)


class PubSubServer:
    """A Pub/Sub server. ``state_path=None`` keeps everything in memory; ``port=0`` picks a free port.

    ``time_factor`` makes back-offs and pauses so many times shorter, to rehearse a long outage in seconds. ``start``
    raises StartError. Usable as a context manager.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        state_path: Path | str | None = None,
        *,
        time_factor: float = 1.0,
    ) -> None:
        self._host = host
        self._port = port
        self._state_path = Path(state_path) if state_path is not None else None
        self._time_factor = time_factor
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """The address as host:port, once the server has started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._port}"

    def start(self) -> None:
        """Start the server and return once it answers calls. Raises StartError."""
        self._thread = threading.Thread(target=self._run, name="pubsub-server", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error

    def stop(self) -> None:
        """Stop accepting calls, finish those under way, and write all state to disk."""
        if self._thread is None or self._loop is None or self._stopping is None:
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            if self._started.is_set():
                raise
            self._error = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        _check_free(self._host, self._port)
        store = Store(self._state_path) if self._state_path is not None else MemoryStore()
        broker = Broker(store, self._time_factor)
        try:
            server = _build(broker)
            try:
                self._port = server.add_insecure_port(self.address)
            except RuntimeError as error:
                raise StartError(f"cannot listen on {self.address}") from error
            await server.start()
            self._started.set()
            await self._stopping.wait()
            await server.stop(STOP_GRACE_S)
        finally:
            await broker.close()


def _event_loop() -> asyncio.AbstractEventLoop:
    """Return a uvloop event loop if uvloop is installed: it answers about a quarter more calls per second."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _build(broker: Broker) -> Any:
    publisher, subscriber = Publisher(broker), Subscriber(broker)
    subscriber_handlers = {name: unary_handler(*method) for name, method in subscriber.methods.items()}
    subscriber_handlers["StreamingPull"] = streaming.handler(broker)
    return grpc.aio.server(
        options=_OPTIONS,
        handlers=(
            service_handler("Publisher", {name: unary_handler(*method) for name, method in publisher.methods.items()}),
            service_handler("Subscriber", subscriber_handlers),
            inspection.handler(broker),
            Unimplemented(),
        ),
    )


def _check_free(host: str, port: int) -> None:
    """Raise StartError if the port is in use; gRPC itself would print several lines about it."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)  # with SO_REUSEADDR, on some systems only listen notices another listener
    except OSError as error:
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}") from error
