"""A TCP proxy in front of a service, which can fail in the ways in which networks do."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit


class FaultyProxy:
    """Forwards connections to ``host:port``; ``port`` is its own. All methods take effect at once.

    * ``stall``   no byte is forwarded, in either direction; connections are still accepted
    * ``lose``    the connections that are open stay silent for ever; later ones are forwarded
    * ``lose_answers``  what the service sends is dropped from now on; what it is sent still arrives
    * ``refuse``  open connections are cut, and new ones refused
    * ``cut``     open connections are cut
    * ``delay``   each chunk of bytes waits that many seconds
    * ``heal``    everything is forwarded again, except on lost connections
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.delay_s = 0.0
        self.answers_lost = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self._pairs: list[_Pair] = []
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start_accepting()

    def stall(self) -> None:
        self._flowing.clear()

    def lose(self) -> None:
        with self._lock:
            for pair in self._pairs:
                pair.lost.set()

    def lose_answers(self) -> None:
        self.answers_lost = True

    def refuse(self) -> None:
        self._stop_accepting()
        self.cut()

    def cut(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.close()

    def delay(self, seconds: float) -> None:
        self.delay_s = seconds

    def heal(self) -> None:
        self.delay_s = 0.0
        if self.answers_lost:
            # an answer is missing, so that later ones cannot be told apart
            self.lose()
            self.answers_lost = False
        self._flowing.set()
        if self._listener.fileno() < 0:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._start_accepting()

    def close(self) -> None:
        self._closed = True
        self._flowing.set()
        self._stop_accepting()
        self.cut()

    def _start_accepting(self) -> None:
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def _stop_accepting(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target)
            except OSError:
                client.close()
                continue
            pair = _Pair(client, server)
            with self._lock:
                self._pairs.append(pair)
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=[pair, source, target], daemon=True).start()

    def _pump(self, pair: "_Pair", source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                if pair.lost.is_set() or (self.answers_lost and source is pair.ends[1]):
                    continue
                if self.delay_s:
                    # a closed pair ends the wait
                    pair.closed.wait(self.delay_s)
                target.sendall(data)
        pair.close()


class _Pair:
    """A client's connection and the one to the service."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.ends = (client, server)
        self.lost = threading.Event()
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextlib.contextmanager
def in_front_of(url: str) -> Iterator[tuple[FaultyProxy, str]]:
    """Run a proxy in front of the service at ``url``; yield it and the URL that leads through it."""
    parts = urlsplit(url)
    proxy = FaultyProxy(parts.hostname or "127.0.0.1", parts.port or 0)
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    try:
        yield proxy, urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{proxy.port}"))
    finally:
        proxy.close()
