"""The connections of `./aisle stress` against a server that closes them."""

import asyncio
import socket
import threading

import pytest

from benchmarks.stress import Connections

REQUEST = b"GET / HTTP/1.1\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def serve(listener: socket.socket, answers: list[float]) -> None:
    """Answer so many requests of each connection, then close it; a half is the beginning of an answer."""
    for count in answers:
        connection, _address = listener.accept()
        with connection:
            for number in range(int(count + 0.5)):
                connection.recv(1000)
                connection.sendall(ANSWER if number + 1 <= count else ANSWER[:20])


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([4], [200, 200, 200, 200]),
        ([2, 2], [200, 200, 200, 200]),
        ([1, 1, 1, 1], [200, 200, 200, 200]),
        # a new connection that ends without an answer is a failure, and so is half an answer
        ([2, 0, 1], [200, 200, 0, 200]),
        ([1.5, 2], [200, 0, 200, 200]),
    ],
)
def test_a_request_that_meets_the_end_of_an_idle_connection_is_sent_again(
    answers: list[float], expected: list[int]
) -> None:
    async def run(port: int) -> list[int]:
        pool = Connections(f"http://127.0.0.1:{port}")
        statuses = [await pool.send(REQUEST) for _ in expected]
        pool.close()
        # so that the loop closes their sockets
        await asyncio.sleep(0.05)
        return statuses

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=[listener, answers])
        server.start()
        assert asyncio.run(run(listener.getsockname()[1])) == expected
        server.join(30)
