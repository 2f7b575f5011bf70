"""A server that answers as a test writes down, and remembers what it was sent."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What the server answers. Status 0 closes the connection without an answer; ``raw`` is a body that is not JSON."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes = b""


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Scripted:
    """The server's address, and its requests so far."""

    url: str
    received: list[Received]


@contextmanager
def answering(*answers: Answer) -> Iterator[Scripted]:
    """Serve the answers in their order; the last one goes on."""
    received: list[Received] = []
    waiting: Sequence[Answer] = answers

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            received.append(Received(self.command, self.path, dict(self.headers), body))
            answer = waiting[min(len(received), len(waiting)) - 1]
            self.close_connection = True
            if answer.status == 0:
                return
            content = answer.raw if answer.body is None else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(content)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 (names that the library calls)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: the test reads ``received``."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Scripted(f"http://127.0.0.1:{server.server_port}", received)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
