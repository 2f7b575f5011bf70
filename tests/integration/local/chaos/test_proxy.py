"""The proxy refuses, falls silent and delays; afterwards it serves again."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from local.chaos.proxy import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy in front of a server that answers each line with itself."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(100):
                connection.sendall(data)

    def serve() -> None:
        while True:
            try:
                connection, _address = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    proxy = Proxy(*server.getsockname())
    yield proxy
    proxy.close()
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def echo(connection: socket.socket) -> bytes:
    connection.sendall(b"hello")
    return connection.recv(100)


def test_it_forwards(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert echo(connection) == b"hello"


def test_it_refuses_and_serves_again_at_the_same_port(proxy: Proxy) -> None:
    port = proxy.port
    with connect(proxy) as connection:
        assert echo(connection) == b"hello"
        proxy.refuse()
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.heal()
    assert proxy.port == port
    with connect(proxy) as connection:
        assert echo(connection) == b"hello"


def test_connections_of_a_silence_stay_silent_and_new_ones_speak(proxy: Proxy) -> None:
    with connect(proxy) as before:
        assert echo(before) == b"hello"
        proxy.silence()
        with connect(proxy) as during:
            for connection in (before, during):
                connection.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    echo(connection)
            proxy.heal()
            with connect(proxy) as after:
                assert echo(after) == b"hello"
            for connection in (before, during):
                # neither an answer nor an end
                with pytest.raises(TimeoutError):
                    echo(connection)


def test_a_delay_ends(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        proxy.delay(0.2)
        begun = time.monotonic()
        assert echo(connection) == b"hello"
        # there and back
        assert time.monotonic() - begun >= 0.4
        proxy.heal()
        assert echo(connection) == b"hello"


def test_what_is_sent_while_it_stalls_arrives_afterwards(proxy: Proxy) -> None:
    with connect(proxy) as before:
        assert echo(before) == b"hello"
        proxy.stall()
        with connect(proxy) as during:
            for connection in (before, during):
                connection.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    echo(connection)
            proxy.heal()
            for connection in (before, during):
                connection.settimeout(5)
                assert connection.recv(100) == b"hello"


def test_lost_connections_and_lost_answers_spoil_no_later_connection(proxy: Proxy) -> None:
    for lose in (proxy.lose, proxy.lose_answers):
        with connect(proxy) as before:
            assert echo(before) == b"hello"
            lose()
            before.settimeout(0.3)
            with pytest.raises(TimeoutError):
                echo(before)
            proxy.heal()
            with connect(proxy) as after:
                assert echo(after) == b"hello"
            with pytest.raises(TimeoutError):
                before.recv(100)
