"""The deployed system of the walk: all functions and jobs at addresses of Cloud Run, and one domain before them."""

import asyncio
import contextlib
import datetime
import io
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from local.apps import create
from local.gateway import gateway
from local.services import Services
from local.state import State
from local.topics import ensure
from shared.manifest import manifest
from tests.integration.conftest import Server, as_operator, settings_of

DOMAIN: Final = "shop.example.com"
LIFETIME: Final = datetime.timedelta(days=1)
# the default port of https
PORT: Final = b":443"


def host(name: str) -> str:
    """Return the host name of a function or job."""
    return f"{name.replace('_', '-')}-my-shop-dev.a.run.app"


def urls() -> dict[str, str]:
    """Return the address of each function and job."""
    return {name: f"https://{host(name)}" for name in manifest().entries}


# Where Terraform computes the address of the edge to be; the number of the project is the stand-in's.
EDGE_HOST: Final = "edge-stub-number.europe-west1.run.app"


class CloudRun:
    """The functions by the host that a request names. Private ones take calls with an operator's token only."""

    def __init__(self, buckets: Path, token: str) -> None:
        self.buckets = buckets
        self.token = token
        entries = manifest().entries
        public: dict[str, Any] = {name: create(name) for name, entry in entries.items() if entry.public}
        self.jobs = {host(name): create(name) for name, entry in entries.items() if entry.kind == "job"}
        self.public: dict[str, ASGIApp] = {host(name): app for name, app in public.items()}
        self.public[EDGE_HOST] = public["edge"]
        self.public[DOMAIN] = gateway(manifest(), lambda name: public[name])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if app := self.public.get(headers["host"]):
            await app(scope, receive, send)
            return
        request = Request(scope, receive)
        if headers.get("authorization") != f"Bearer {self.token}":
            await Response("Forbidden: the caller may not invoke this service.", 403)(scope, receive, send)
            return
        answer = await asyncio.to_thread(self.run, self.jobs[headers["host"]], await request.body(), dict(headers))
        await answer(scope, receive, send)

    def run(self, job: Any, body: bytes, headers: dict[str, str]) -> Response:
        """Call a job. It reads files of this machine in place of those in buckets."""
        text = body.replace(b"gs://", f"{self.buckets}/".encode())
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "SERVER_NAME": headers["host"],
            "SERVER_PORT": "443",
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(text),
            "wsgi.errors": io.StringIO(),
            "CONTENT_TYPE": headers.get("content-type", "application/json"),
            "CONTENT_LENGTH": str(len(text)),
        }
        begun: list[Any] = []
        content = b"".join(as_operator(job)(environ, lambda *arguments: begun.append(arguments)))
        status, fields = begun[0][0], {name.lower(): value for name, value in begun[0][1]}
        fields.pop("content-length", None)
        # a job names the file that it read
        return Response(content.replace(f"{self.buckets}/".encode(), b"gs://"), int(status.split()[0]), fields)


def certificate(folder: Path, names: list[str]) -> tuple[Path, ssl.SSLContext]:
    """Return a file with a certificate for ``names``, which signs itself, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, DOMAIN)])
    now = datetime.datetime.now(datetime.UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    signed = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LIFETIME)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    authority, both = folder / "authority.pem", folder / "server.pem"
    public = signed.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    authority.write_bytes(public)
    both.write_bytes(public + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return authority, context


class Proxy(threading.Thread):
    """A proxy of HTTPS that ends TLS for the hosts it knows, refuses all others, and passes on what they are sent."""

    def __init__(self, hosts: set[str], context: ssl.SSLContext, port: int) -> None:
        super().__init__(daemon=True)
        self.hosts, self.context, self.server_port = hosts, context, port
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def run(self) -> None:
        """Serve until the socket is closed."""
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[client], daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        """Pass on one connection."""
        asked = b""
        with contextlib.suppress(OSError):
            while b"\r\n\r\n" not in asked and (more := client.recv(4096)):
                asked += more
            verb, _, rest = asked.partition(b" ")
            wanted = rest.partition(b" ")[0].removesuffix(PORT).decode()
            if verb != b"CONNECT" or wanted not in self.hosts:
                client.sendall(b"HTTP/1.1 502 Unknown host\r\n\r\n")
                client.close()
                return
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            plain = self.context.wrap_socket(client, server_side=True)
            server = socket.create_connection(("127.0.0.1", self.server_port))
            back = threading.Thread(target=pump, args=[server, plain], daemon=True)
            back.start()
            pump(plain, server)
            back.join()
            plain.close()
            server.close()

    def close(self) -> None:
        """Stop serving."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.join()


def pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on bytes until the source ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def deployed(folder: Path, token: str) -> Iterator[tuple[Mapping[str, str], Server]]:
    """Serve the system; yield the environment in which programs reach it, and the server behind the proxy."""
    state = State.create(folder / "state")
    with Services(state, durable=False, own={}) as services:
        environment = services.environment | {"PUBLIC_URL": f"https://{EDGE_HOST}", "LOG_LEVEL": "ERROR"}
        with settings_of(environment):
            ensure(manifest(), "http://127.0.0.1:9/_events", environment, token)
            with Server(CloudRun(folder, token)) as server:
                hosts = {*map(host, manifest().entries), EDGE_HOST, DOMAIN}
                authority, context = certificate(folder, sorted(hosts))
                proxy = Proxy(hosts, context, server.socket.getsockname()[1])
                proxy.start()
                try:
                    reached = {"https_proxy": proxy.url, "SSL_CERT_FILE": str(authority)}
                    yield reached | {"STAND_IN_ADMIN_TOKEN": environment["ADMIN_TOKEN"]}, server
                finally:
                    proxy.close()
