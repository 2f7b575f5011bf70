"""The gateway as a process of its own."""

import signal
import socket
import subprocess
import sys
import time

import httpx

from local.places import ROOT

SERVING = """
import socket, sys
from starlette.responses import PlainTextResponse
from local import gateway
gateway.UNREAD_S = 5.0
gateway.serve(PlainTextResponse("served"), [socket.socket(fileno=int(sys.argv[1]))])
"""


def test_a_connection_whose_request_is_on_its_way_is_answered_when_the_server_stops() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor = listener.fileno()
        command = [sys.executable, "-P", "-c", SERVING, str(descriptor)]
        with subprocess.Popen(command, pass_fds=[descriptor], cwd=ROOT) as server:
            address = listener.getsockname()
            url = f"http://127.0.0.1:{address[1]}"
            assert httpx.get(url, timeout=60).text == "served"
            with socket.create_connection(address, timeout=60) as connection, httpx.Client(timeout=60) as kept:
                # connections are accepted in turn: when this one is answered, that one has been accepted
                first = kept.get(url)
                assert first.text == "served"
                assert "connection" not in first.headers
                server.send_signal(signal.SIGTERM)
                # a server looks ten times a second whether it should stop
                time.sleep(0.5)
                connection.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
                # whoever keeps a connection learns that it ends, and the next request takes another
                assert kept.get(url).headers["connection"] == "close"
                answer = b"".join(iter(lambda: connection.recv(4096), b""))
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b"served")
            assert server.wait(60) in (0, -signal.SIGTERM)
