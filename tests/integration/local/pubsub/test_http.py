"""The client that pushes, against a socket that answers byte by byte what the test says."""

import asyncio

import pytest

from local.pubsub.http import Endpoint, NotSent, Outcome


class Peer:
    """A TCP server. Each request is answered with the next of ``answers``; None closes the connection instead."""

    def __init__(self, *answers: bytes | None, close: bool = False) -> None:
        self.answers = list(answers)
        self.close = close
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
                await reader.readexactly(length)
                answer = self.answers.pop(0)
                if answer is None:
                    break
                for position in range(0, len(answer), 7):  # in pieces, as a network may deliver it
                    writer.write(answer[position : position + 7])
                    await writer.drain()
                    await asyncio.sleep(0)
                if self.close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def post(peer: Peer, count: int = 1, timeout_s: float = 5.0) -> list[Outcome]:
    """Post so many times, one after the other, and return the outcomes."""

    async def run() -> list[Outcome]:
        server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
        endpoint = Endpoint(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/push?token=a")
        outcomes = []
        for _ in range(count):
            outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            endpoint.post("", b"body", timeout_s, outcome.set_result)
            outcomes.append(await outcome)
            await asyncio.sleep(0.02)
        endpoint.close()
        server.close()
        await asyncio.sleep(0.02)
        return outcomes

    return asyncio.run(run())


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (OK, 200),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 500 Broken\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n", 500),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nTrailer: x\r\n\r\n", 200),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, 200),
    ],
    ids=["length", "no content", "chunked", "trailer", "interim"],
)
def test_a_complete_answer_leaves_the_connection_for_the_next_request(answer: bytes, status: int) -> None:
    peer = Peer(answer, answer)
    assert post(peer, 2) == [status, status]
    assert peer.connections == 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 102 Processing\r\n\r\n", 102),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 200),
        (OK + OK, 200),
    ],
    ids=["102", "HTTP/1.0", "connection: close", "two answers"],
)
def test_an_answer_that_may_be_followed_by_more_ends_the_connection(answer: bytes, status: int) -> None:
    peer = Peer(answer, answer)
    assert post(peer, 2) == [status, status]
    assert peer.connections == 2


def test_an_answer_may_end_with_its_connection() -> None:
    answer = b"HTTP/1.1 202 Accepted\r\n\r\nuntil the end"
    peer = Peer(answer, answer, close=True)
    assert post(peer, 2) == [202, 202]


def test_an_idle_connection_that_was_closed_is_replaced() -> None:
    peer = Peer(OK, None, OK)
    assert post(peer, 2) == [200, 200]
    assert peer.connections == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", ValueError),
        (b"HTTP/1.1 twohundred OK\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, ValueError),
        (b"HTTP/1.1 200 O", ConnectionAbortedError),
    ],
    ids=["no HTTP", "no status", "endless head", "cut short"],
)
def test_an_answer_without_a_status_is_an_error(answer: bytes, error: type[Exception]) -> None:
    (outcome,) = post(Peer(answer, close=True))
    assert isinstance(outcome, error)


def test_an_answer_that_does_not_come_is_a_time_out() -> None:
    (outcome,) = post(Peer(b"HTTP/1.1 200"), timeout_s=0.2)
    assert isinstance(outcome, TimeoutError)


def test_an_endpoint_that_is_not_there_has_seen_nothing() -> None:
    async def run() -> Outcome:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        Endpoint(f"http://127.0.0.1:{port}/").post("", b"", 5, outcome.set_result)
        return await outcome

    assert isinstance(asyncio.run(run()), NotSent)
