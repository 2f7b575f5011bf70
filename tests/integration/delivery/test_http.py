"""The HTTP client of delivery, the local system and the benchmarks, against servers that behave and that do not."""

import socket
import threading
import time
from collections.abc import Callable, Iterable

import pytest

from delivery import http
from tests.integration.delivery.servers import WsgiServer

Environ = dict[str, object]


def echo(environ: Environ, start_response: Callable[..., object]) -> Iterable[bytes]:
    start_response("418 Teapot", [("Content-Type", "application/json")])
    body = environ["wsgi.input"].read(int(str(environ.get("CONTENT_LENGTH") or 0))).decode()
    headers = f"{environ['REQUEST_METHOD']} {environ.get('CONTENT_TYPE', '')} {environ.get('HTTP_AUTHORIZATION', '')}"
    return [f'["{headers}", {body or "null"}]'.encode()]


def test_any_status_is_an_answer() -> None:
    with WsgiServer(echo) as url:
        answer = http.get(url, headers={"Authorization": "Bearer a"})
    assert (answer.status, answer.json()) == (418, ["GET  Bearer a", None])


def test_a_post_sends_json() -> None:
    with WsgiServer(echo) as url:
        answer = http.post(url, {"k": "é"})
    assert answer.json() == ["POST application/json ", {"k": "é"}]


def test_a_body_that_is_not_json_is_still_text() -> None:
    answer = http.Answer(502, b"<html>\xff")
    with pytest.raises(ValueError, match=r"JSON|decode"):
        answer.json()
    assert answer.text(7) == "<html>\ufffd"


def test_this_machine_is_not_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with WsgiServer(echo) as url:
        assert http.get(url).status == 418


def test_a_closed_port_and_an_unfinished_answer_are_no_answer() -> None:
    with pytest.raises(http.NoAnswer, match="refused"):
        http.get("http://127.0.0.1:1/")
    with Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort") as url, pytest.raises(http.NoAnswer):
        http.get(url)
    with Raw(b"") as url, pytest.raises(http.NoAnswer):
        http.get(url)
    with Raw(b"SSH-2.0\r\n") as url, pytest.raises(http.NoAnswer):
        http.get(url)


def test_a_server_that_does_not_answer_in_time_is_no_answer() -> None:
    with Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", hold_s=1) as url, pytest.raises(http.NoAnswer):
        http.get(url, timeout_s=0.1)


def test_a_file_is_not_read() -> None:
    with pytest.raises(ValueError, match="not an http or https URL"):
        http.get("file:///etc/hostname")


class Raw:
    """A server that sends these bytes to the first request and, after ``hold_s``, closes the connection."""

    def __init__(self, answer: bytes, hold_s: float = 0.0) -> None:
        self.answer, self.hold_s = answer, hold_s
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.serve)

    def serve(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(self.answer)
            time.sleep(self.hold_s)

    def __enter__(self) -> str:
        self.thread.start()
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/"

    def __exit__(self, *_: object) -> None:
        self.thread.join()
        self.listener.close()
