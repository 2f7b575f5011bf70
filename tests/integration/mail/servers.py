"""A mail server and a provider's API that keep what they are sent."""

import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class MailServer(threading.Thread):
    """An SMTP server (RFC 5321) that offers AUTH PLAIN, and STARTTLS if it has a certificate.

    ``implicit_tls`` speaks TLS from the first byte (smtps). ``refuse`` answers RCPT with this line.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        context: ssl.SSLContext | None = None,
        *,
        implicit_tls: bool = False,
        refuse: str | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self.context, self.implicit_tls, self.refuse = context, implicit_tls, refuse
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        # command lines with whether they came encrypted, and the messages
        self.commands: list[tuple[str, bool]] = []
        self.messages: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()
        self.join(5)

    def run(self) -> None:
        while True:
            try:
                connection, _address = self.listener.accept()
            except OSError:
                return
            try:
                self.converse(connection)
            except OSError:
                connection.close()

    def converse(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        encrypted = self.implicit_tls
        if encrypted and self.context is not None:
            connection = self.context.wrap_socket(connection, server_side=True)
        reader = connection.makefile("rb")
        connection.sendall(b"220 test\r\n")
        while line := reader.readline().decode().strip():
            self.commands.append((line, encrypted))
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                offered = "" if encrypted or self.context is None else "250-STARTTLS\r\n"
                connection.sendall(f"250-test\r\n{offered}250 AUTH PLAIN\r\n".encode())
            elif verb == "STARTTLS" and self.context is not None:
                connection.sendall(b"220 go\r\n")
                connection = self.context.wrap_socket(connection, server_side=True)
                reader, encrypted = connection.makefile("rb"), True
            elif verb == "AUTH":
                connection.sendall(b"235 welcome\r\n")
            elif verb == "RCPT" and self.refuse:
                connection.sendall(f"{self.refuse}\r\n".encode())
            elif verb == "DATA":
                connection.sendall(b"354 send\r\n")
                lines = []
                while (text := reader.readline()) not in (b".\r\n", b""):
                    lines.append(text)
                self.messages.append(b"".join(lines).decode())
                connection.sendall(b"250 taken\r\n")
            elif verb == "QUIT":
                connection.sendall(b"221 bye\r\n")
                break
            else:
                connection.sendall(b"250 fine\r\n")
        connection.close()


class MailApi(ThreadingHTTPServer):
    """A provider's HTTP API; ``status`` answers every request."""

    daemon_threads = True

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: MailApi

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        if 300 <= self.server.status < 400:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815 — named by http.server

    def log_message(self, *_: object) -> None:
        """Log nothing."""
