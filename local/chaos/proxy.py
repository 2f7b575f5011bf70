"""A TCP proxy in front of a service, which can fail in the ways in which networks do while both ends live."""

import contextlib
import socket
import threading
from typing import Final

CHUNK: Final = 65_536


class Proxy:
    """Forwards connections to ``target``; ``port`` is its own. All methods take effect at once, from any thread.

    * ``stall``   no byte is forwarded, in either direction; connections are still accepted
    * ``silence``  as ``stall``, but what is sent meanwhile is lost, and these connections stay silent for ever
    * ``lose``    the connections that are open stay silent for ever; later ones are forwarded
    * ``lose_answers``  what the service sends is dropped from now on; what it is sent still arrives
    * ``refuse``  open connections are cut, and new ones refused
    * ``cut``     open connections are cut
    * ``delay``   each chunk of bytes waits that many seconds
    * ``heal``    everything is forwarded again, except on lost connections. After a ``silence`` their ends at the
      service are closed, as the keepalive probes of a server would do; the client's ends stay open
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.delay_s = 0.0
        self._answers_lost = False
        self._silent = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self._pairs: set[_Pair] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start_accepting()

    def stall(self) -> None:
        self._flowing.clear()

    def silence(self) -> None:
        with self._lock:
            self._silent = True
        self.lose()

    def lose(self) -> None:
        with self._lock:
            for pair in self._pairs:
                pair.lost.set()

    def lose_answers(self) -> None:
        self._answers_lost = True

    def refuse(self) -> None:
        self._stop_accepting()
        self.cut()

    def cut(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            pair.close()

    def delay(self, seconds: float) -> None:
        self.delay_s = seconds

    def heal(self) -> None:
        self.delay_s = 0.0
        if self._answers_lost:
            # an answer is missing, so that later ones cannot be told apart
            self.lose()
            self._answers_lost = False
        with self._lock:
            was_silent, self._silent = self._silent, False
            silenced = [pair for pair in self._pairs if pair.lost.is_set()] if was_silent else []
        for pair in silenced:
            pair.close_server()
        self._flowing.set()
        if self._listener.fileno() < 0:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._start_accepting()

    def close(self) -> None:
        self._flowing.set()
        self._stop_accepting()
        self.cut()

    def _start_accepting(self) -> None:
        threading.Thread(target=self._accept, args=[self._listener], name="proxy", daemon=True).start()

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
            # a thread each: a service that hangs may take no connection for a while
            threading.Thread(target=self._serve, args=[client], name="proxy", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        pair = _Pair(client)
        with self._lock:
            self._pairs.add(pair)
            if self._silent:
                pair.lost.set()
        try:
            server = socket.create_connection(self.target)
        except OSError:
            if not pair.lost.is_set():
                self._end(pair)
            return
        pair.connected(server)
        answers = threading.Thread(target=self._pump, args=[pair, server, client], name="proxy", daemon=True)
        answers.start()
        self._pump(pair, client, server)
        answers.join()
        self._end(pair)

    def _end(self, pair: "_Pair") -> None:
        pair.close()
        with self._lock:
            self._pairs.discard(pair)

    def _pump(self, pair: "_Pair", source: socket.socket, target: socket.socket) -> None:
        is_answer = source is pair.server
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self._flowing.wait()
                if pair.lost.is_set() or (self._answers_lost and is_answer):
                    continue
                if self.delay_s:
                    # a closed pair ends the wait
                    pair.closed.wait(self.delay_s)
                target.sendall(data)
        # the end of a service does not pass a lost connection either
        if not (is_answer and pair.lost.is_set()):
            pair.close()


class _Pair:
    """A client's connection and, once there is one, the connection to the service."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.server: socket.socket | None = None
        self.lost = threading.Event()
        self.closed = threading.Event()

    def connected(self, server: socket.socket) -> None:
        """Note the connection to the service; it is closed if the pair was closed meanwhile."""
        self.server = server
        if self.closed.is_set():
            self.close()

    def close_server(self) -> None:
        """Close the connection to the service alone."""
        if self.server is not None:
            _close(self.server)

    def close(self) -> None:
        """Close both connections."""
        self.closed.set()
        _close(self.client)
        self.close_server()


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
