"""The parts of a statement leave at once, although the server has not acknowledged the part before."""

import io
import socket

from shared.clients.postgres import copy_in, execute, transaction
from shared.clients.postgres_engine import engine


def test_no_connection_keeps_a_part_back(env: dict[str, str]) -> None:
    with engine().connect() as connection:
        wire = connection.connection.driver_connection._usock  # type: ignore[union-attr]  # of the driver
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_copy_of_many_parts_arrives_whole(env: dict[str, str]) -> None:
    rows = [f"{number}\t{'x' * (number % 7_000)}" for number in range(300)]
    with transaction() as connection:
        execute(connection, "CREATE TEMP TABLE parts (id integer, text text) ON COMMIT DROP")
        copy_in(connection, "COPY parts FROM STDIN", io.BytesIO("\n".join([*rows, ""]).encode()))
        # a statement of more than one buffer of the driver
        text = "y" * 50_000
        found = execute(connection, f"SELECT count(*), sum(length(text)), length('{text}') FROM parts")
    assert tuple(found[0]) == (300, sum(number % 7_000 for number in range(300)), len(text))
