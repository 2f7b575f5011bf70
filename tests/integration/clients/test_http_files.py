"""Files fetched over HTTP from real servers on this machine, which stand for servers that must not be reached."""

import base64
import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from shared.clients import http_files, sources
from shared.errors import InvalidRequest
from tests.integration.cloud_sql_server import LIFETIME, Authority, hashes, name, pem, rsa, serialization
from tests.integration.conftest import Serve, settings_of

FEED = b"external_id,name,price\nlamp,Lamp,9.99\nvase,Vase,12\n"
MIB = 1_048_576


class FileServer(ThreadingHTTPServer):
    """Serves FEED; a path in ``answers`` has an answer of its own. ``requests`` has each request's path and headers."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(address, Handler)
        self.url = f"http://{address[0]}:{self.server_port}"
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def redirect(self, path: str, location: str, status: int = 302) -> None:
        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            request.send_header("Location", location)
            request.send_header("Content-Length", "0")
            request.end_headers()

        self.answers[path] = answer


class Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers.items())))
        if answer := self.server.answers.get(self.path):
            return answer(self)
        return send(self, FEED)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def send(request: BaseHTTPRequestHandler, body: bytes, *, promised: int | None = None, status: int = 200) -> None:
    request.send_response(status)
    request.send_header("Content-Length", str(len(body) if promised is None else promised))
    request.end_headers()
    request.wfile.write(body)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        yield running
        running.shutdown()


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Addresses of names of the tests; each look-up of a name takes the next."""
    names: dict[str, list[str]] = {}
    original = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *arguments: Any, **options: Any) -> Any:
        address = names[host].pop(0) if host in names else host
        return original(address, port, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names


def fetch(url: str, *, allow_private: bool = True, max_bytes: int = MIB) -> bytes:
    with http_files.open_url(url, allow_private=allow_private, max_bytes=max_bytes) as file:
        return file.read()


def test_a_private_server_is_read_with_the_setting_and_refused_without_a_request(server: FileServer) -> None:
    with pytest.raises(InvalidRequest, match="not a public address"):
        fetch(f"{server.url}/feed.csv", allow_private=False)
    assert server.requests == []
    assert fetch(f"{server.url}/feed.csv") == FEED
    ((path, headers),) = server.requests
    assert (path, headers["Host"]) == ("/feed.csv", server.url.removeprefix("http://"))
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0",
        "0.0.0.0",  # noqa: S104 — an address to refuse, not one to bind
        "inside.example",
        "①②⑦.0.0.1",
    ],
)
def test_no_spelling_of_this_machine_is_reached(server: FileServer, resolve: dict[str, list[str]], host: str) -> None:
    resolve["inside.example"] = ["127.0.0.1"]
    with pytest.raises(InvalidRequest, match="not a public address"):
        fetch(f"http://{host}:{server.server_port}/feed.csv", allow_private=False)
    assert server.requests == []


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "metadata.google.internal", "Metadata.Google.Internal.", "[fe80::1]", "0.0.0.0"],  # noqa: S104 — an address to refuse, not one to bind
)
def test_metadata_servers_are_refused_with_the_setting_too(host: str) -> None:
    begun = time.monotonic()
    with pytest.raises(InvalidRequest, match="not a public address"):
        fetch(f"http://{host}/computeMetadata/v1/", allow_private=True)
    # refused, not tried
    assert time.monotonic() - begun < 5


def test_a_public_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: entries)
    with pytest.raises(InvalidRequest, match="not a public address"):
        fetch("http://both.example/feed.csv", allow_private=False)


def test_the_connection_goes_to_the_address_that_was_checked(resolve: dict[str, list[str]]) -> None:
    with FileServer() as first, FileServer(("127.0.0.2", first.server_port)) as second:
        resolve["rebound.example"] = ["127.0.0.1", "127.0.0.2"]
        assert fetch(f"http://rebound.example:{first.server_port}/feed.csv") == FEED
        assert [path for path, _headers in first.requests] == ["/feed.csv"]
        assert first.requests[0][1]["Host"] == f"rebound.example:{first.server_port}"
        assert second.requests == []
        assert resolve["rebound.example"] == ["127.0.0.2"]
        first.shutdown()
        second.shutdown()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_within_its_scheme(server: FileServer, status: int) -> None:
    server.redirect("/old.csv", "new.csv", status)
    assert fetch(f"{server.url}/old.csv") == FEED
    assert [path for path, _headers in server.requests] == ["/old.csv", "/new.csv"]


@pytest.mark.parametrize(
    "location", ["https://127.0.0.1/feed.csv", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:6379/_X"]
)
def test_a_redirect_to_another_scheme_is_refused(server: FileServer, location: str) -> None:
    server.redirect("/feed.csv", location)
    with pytest.raises(InvalidRequest, match="redirects from http:// to"):
        fetch(f"{server.url}/feed.csv")


@pytest.mark.parametrize("hops", [1, 2])
def test_every_hop_is_checked(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, resolve: dict[str, list[str]], hops: int
) -> None:
    # 127.0.0.1 stands for a public server, which redirects once or twice and then to a private one
    permitted = http_files.is_permitted
    monkeypatch.setattr(
        http_files,
        "is_permitted",
        lambda address, *, allow_private: (
            str(address) == "127.0.0.1" or permitted(address, allow_private=allow_private)
        ),
    )
    with FileServer(("127.0.0.2", 0)) as private:
        resolve["private.example"] = ["127.0.0.2"]
        for hop in range(1, hops):
            server.redirect(f"/{hop}.csv", f"{server.url}/{hop + 1}.csv")
        server.redirect(f"/{hops}.csv", f"http://private.example:{private.server_port}/secret.csv")
        with pytest.raises(InvalidRequest, match=r"private\.example is not a public address"):
            fetch(f"{server.url}/1.csv", allow_private=False)
        assert len(server.requests) == hops
        assert private.requests == []
        # the server that stands for a public one is read beside it
        assert fetch(f"{server.url}/feed.csv", allow_private=False) == FEED
        private.shutdown()


def test_redirects_are_bounded(server: FileServer) -> None:
    for hop in range(1, 7):
        server.redirect(f"/{hop}", f"/{hop + 1}")
    assert fetch(f"{server.url}/2") == FEED
    with pytest.raises(InvalidRequest, match="redirects more than 5 times"):
        fetch(f"{server.url}/1")


def test_credentials_go_to_the_server_that_the_url_names_alone(server: FileServer) -> None:
    with FileServer() as other:
        server.redirect("/feed.csv", "/moved.csv")
        server.redirect("/moved.csv", f"{other.url}/feed.csv")
        port = server.server_port
        assert fetch(f"http://ann:s3%40cret@127.0.0.1:{port}/feed.csv") == FEED
        expected = "Basic " + base64.b64encode(b"ann:s3@cret").decode()
        assert server.requests[0][1]["Authorization"] == expected
        assert "Authorization" not in other.requests[0][1]
        other.shutdown()


def test_a_file_has_at_most_the_largest_size(server: FileServer) -> None:
    def chunked(request: BaseHTTPRequestHandler) -> None:
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for _ in range(3):
            request.wfile.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        request.wfile.write(b"0\r\n\r\n")

    server.answers["/chunked.csv"] = chunked
    assert fetch(f"{server.url}/feed.csv", max_bytes=len(FEED)) == FEED
    with pytest.raises(InvalidRequest, match="SOURCE_MAX_MB"):
        fetch(f"{server.url}/feed.csv", max_bytes=len(FEED) - 1)
    # a body without a length is counted as it comes
    assert fetch(f"{server.url}/chunked.csv", max_bytes=3072) == b"x" * 3072
    with pytest.raises(InvalidRequest, match="SOURCE_MAX_MB"):
        fetch(f"{server.url}/chunked.csv", max_bytes=3071)


def test_a_body_that_ends_early_is_no_file(server: FileServer) -> None:
    server.answers["/half.csv"] = lambda request: send(request, FEED, promised=len(FEED) + 1)
    with pytest.raises(InvalidRequest, match=f"ends after {len(FEED)} of {len(FEED) + 1} bytes"):
        fetch(f"{server.url}/half.csv")


@pytest.mark.parametrize(("limit", "match"), [("HEAD_TIMEOUT_S", "no answer within"), ("MAX_FETCH_S", "not received")])
def test_a_server_that_sends_a_byte_now_and_then_is_left(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, limit: str, match: str
) -> None:
    def trickle(request: BaseHTTPRequestHandler) -> None:
        begun = b"HTTP/1.0 200 OK\r\n" + (b"\r\n" if limit == "MAX_FETCH_S" else b"X-Slow: ")
        try:
            for byte in begun + b"x" * 600:
                request.wfile.write(bytes([byte]))
                if byte == ord("x"):
                    time.sleep(0.1)
        except OSError:
            pass

    server.answers["/slow.csv"] = trickle
    monkeypatch.setattr(http_files, limit, 0.5)
    begun = time.monotonic()
    with pytest.raises((InvalidRequest, TimeoutError), match=match):
        fetch(f"{server.url}/slow.csv")
    # the whole file takes a minute
    assert time.monotonic() - begun < 50


@pytest.mark.parametrize(("limit_s", "error"), [(0.1, InvalidRequest), (60, ConnectionResetError)])
def test_a_reset_connection_is_a_late_file_only_if_its_time_has_ended(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, limit_s: float, error: type[Exception]
) -> None:
    def reset(_response: HTTPResponse, _size: int) -> bytes:
        # the time ends in a thread of its own
        time.sleep(1)
        raise ConnectionResetError

    monkeypatch.setattr(http_files, "MAX_FETCH_S", limit_s)
    monkeypatch.setattr(HTTPResponse, "read1", reset)
    with pytest.raises(error):
        fetch(f"{server.url}/feed.csv")


def test_the_certificate_of_a_server_is_checked_against_the_name_of_the_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolve: dict[str, list[str]]
) -> None:
    authority = Authority(tmp_path)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name("feeds.example"))
        .issuer_name(name("authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("feeds.example")]), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "server.pem").write_bytes(pem(certificate) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with FileServer() as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        resolve |= {host: ["127.0.0.1"] * 2 for host in ("feeds.example", "other.example")}
        with pytest.raises(ssl.SSLCertVerificationError):
            fetch(f"https://feeds.example:{server.server_port}/feed.csv")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file()))
        assert fetch(f"https://feeds.example:{server.server_port}/feed.csv") == FEED
        with pytest.raises(ssl.SSLCertVerificationError):
            fetch(f"https://other.example:{server.server_port}/feed.csv")
        server.shutdown()


def test_a_job_fetches_from_a_private_server_by_the_setting_alone(
    env: dict[str, str], serve: Serve, server: FileServer
) -> None:
    answer = serve("import_catalog").post("/", json={"source": f"{server.url}/feed.csv"})
    assert answer.status_code == 422
    assert "ALLOW_PRIVATE_SOURCES" in answer.json()["detail"]
    assert server.requests == []
    with settings_of(env | {"ALLOW_PRIVATE_SOURCES": "true"}):
        answer = serve("import_catalog").post("/", json={"source": f"{server.url}/feed.csv"})
        assert (answer.status_code, answer.json()["created"]) == (200, 2)
        missing = serve("import_catalog").post("/", json={"source": f"{server.url}/none.csv"})
        assert missing.status_code == 200
        server.answers["/none.csv"] = lambda request: send(request, b"", status=404)
        missing = serve("import_catalog").post("/", json={"source": f"{server.url}/none.csv"})
        assert "does not exist" in missing.json()["detail"]


@pytest.mark.parametrize("source", ["/etc/passwd", "file:///etc/passwd", "FILE:///etc/passwd"])
def test_a_job_that_somebody_runs_over_http_reads_no_file_of_this_machine(env: object, source: str) -> None:
    with pytest.raises(InvalidRequest, match=r"only \./aisle job and \./aisle load"), sources.opened(source):
        pass
    with sources.local_files(allowed=True), sources.opened("/etc/passwd") as file:
        assert file.read(1)
