"""A stand-in for Cloud SQL: its Admin API, Google's token endpoint, and the proxy in front of an instance.

It serves the calls of the real connector and is as strict: a client must connect with a certificate that the API signed
for a token that the endpoint issued. Behind the proxy is the embedded PostgreSQL.
"""

import base64
import contextlib
import datetime
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.integration.answering import JsonHandler

# the Postgres users of three functions
MIGRATOR = "aisle-migrate@shop-test-123.iam"
JOB = "aisle-retention@shop-test-123.iam"
FUNCTION = "aisle-products@shop-test-123.iam"
USERS = (MIGRATOR, JOB, FUNCTION)
INSTANCE = "shop-test-123:europe-west1:aisle"
TOKEN = "a-login-token"
LIFETIME = datetime.timedelta(hours=1)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """A certificate authority: signs the certificates of the instance and of its clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = self.sign("authority", self.key.public_key(), authority=True)

    def sign(
        self,
        subject: str,
        key: Any,
        *,
        authority: bool = False,
        lifetime: datetime.timedelta = LIFETIME,
        address: IPv4Address | IPv6Address | None = None,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("authority"))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + lifetime)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if address is not None:
            names = x509.SubjectAlternativeName([x509.IPAddress(address)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def write(self, subject: str, address: IPv4Address | IPv6Address | None = None) -> Path:
        """Write a certificate and its key into one file; ``address`` is the address it is for, if any."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        file = self.folder / f"{subject.replace(':', '-')}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(pem(self.sign(subject, key.public_key(), address=address)) + private)
        return file

    def file(self) -> Path:
        file = self.folder / "authority.pem"
        file.write_bytes(pem(self.certificate))
        return file

    def credentials(self, token_uri: str) -> Path:
        """Write a service account's key in the form that application default credentials read."""
        private = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "project_id": "shop-test-123",
            "private_key_id": "1",
            "client_id": "1",
            "private_key": private.decode(),
            "client_email": "aisle-products@shop-test-123.iam.gserviceaccount.com",
            "token_uri": token_uri,
        }
        file = self.folder / "account.json"
        file.write_text(json.dumps(account))
        return file


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class Proxy(threading.Thread):
    """Accepts TLS from clients with a certificate of the authority, and forwards their bytes to PostgreSQL."""

    def __init__(self, authority: Authority, postgres_port: int) -> None:
        super().__init__(daemon=True)
        self.postgres_port = postgres_port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.load_cert_chain(authority.write("shop-test-123:aisle"))
        self.context.load_verify_locations(authority.file())
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.open: list[socket.socket] = []
        self.lost: set[socket.socket] = set()
        self.all: list[socket.socket] = []
        self.threads: list[threading.Thread] = []
        self.clients: list[str] = []

    def run(self) -> None:
        while True:
            try:
                plain, _ = self.socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self.serve, args=[plain], daemon=True)
            self.threads.append(thread)
            thread.start()

    def serve(self, plain: socket.socket) -> None:
        try:
            client = self.context.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            return
        self.clients.append(str(client.getpeercert()))
        server = socket.create_connection(("127.0.0.1", self.postgres_port))
        self.open += [client, server]
        self.all += [client, server]
        back = threading.Thread(target=self.pump, args=[server, client], daemon=True)
        back.start()
        self.pump(client, server)
        back.join(10)

    def pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if source not in self.lost:
                    target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening, break the open connections, and wait for their threads."""
        self.cut()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for thread in self.threads:
            thread.join(10)
        for connection in self.all:
            connection.close()

    def lose(self) -> None:
        """Let the open connections stay silent for ever, as a firewall does that forgot them."""
        self.lost.update(self.open)

    def cut(self) -> None:
        """Break every connection, as a failover does."""
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.open.clear()


class Api(ThreadingHTTPServer):
    """The Admin API's connectSettings and generateEphemeralCert, and the token endpoint."""

    daemon_threads = True

    def __init__(self, authority: Authority) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.authority = authority
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.signed = 0
        self.down = False
        self.lifetime = LIFETIME


class Handler(JsonHandler):
    server: Api

    def do_GET(self) -> None:  # noqa: N802 — named by http.server
        if self.server.down:
            return self.answer({"error": {"message": "the caller has no permission"}}, 403)
        assert self.path.endswith("/projects/shop-test-123/instances/aisle/connectSettings")
        certificate = pem(self.server.authority.certificate).decode()
        addresses = [{"type": "PRIVATE", "ipAddress": "127.0.0.1"}]
        return self.answer(
            {
                "region": "europe-west1",
                "databaseVersion": "POSTGRES_18",
                "ipAddresses": addresses,
                "serverCaCert": {"cert": certificate},
            }
        )

    def do_POST(self) -> None:  # noqa: N802 — named by http.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            token = base64.urlsafe_b64encode(TOKEN.encode()).decode()
            return self.answer({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})
        if self.server.down:
            return self.answer({"error": {"message": "the caller has no permission"}}, 403)
        assert self.path.endswith(":generateEphemeralCert")
        request = json.loads(body)
        if not request.get("access_token"):
            return self.answer({"error": {"message": "no login token: IAM authentication is off"}}, 400)
        key = serialization.load_pem_public_key(request["public_key"].encode())
        self.server.signed += 1
        certificate = self.server.authority.sign("client", key, lifetime=self.server.lifetime)
        return self.answer({"ephemeralCert": {"cert": pem(certificate).decode()}})


@contextlib.contextmanager
def cloud_sql(folder: Path, postgres_port: int) -> Iterator[tuple[Api, Proxy, Path]]:
    """Run a stand-in; yield the API, the proxy and the file with the function's credentials."""
    authority = Authority(folder)
    api, proxy = Api(authority), Proxy(authority, postgres_port)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    proxy.start()
    try:
        yield api, proxy, authority.credentials(f"{api.url}/token")
    finally:
        proxy.close()
        api.shutdown()
        api.server_close()
