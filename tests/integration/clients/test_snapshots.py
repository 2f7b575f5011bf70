"""Reading from one snapshot, and COPY to a stream."""

import io

import pytest

from shared.clients import postgres


def test_a_snapshot_sees_no_later_change_and_may_make_none(env: object) -> None:
    postgres.write("INSERT INTO categories (name) VALUES ('A')")
    count = "SELECT count(*) FROM categories"
    with postgres.snapshot() as connection:
        assert postgres.execute(connection, count)[0][0] == 1
        postgres.write("INSERT INTO categories (name) VALUES ('B')")
        assert postgres.execute(connection, count)[0][0] == 1
        assert postgres.execute(connection, "SHOW transaction_read_only")[0][0] == "on"
    assert postgres.read(count)[0][0] == 2


def test_rows_are_copied_to_a_stream_and_counted(env: object) -> None:
    stream = io.BytesIO()
    with postgres.snapshot() as connection:
        rows = postgres.copy_out(connection, "COPY (SELECT n, '50 %' FROM generate_series(1, 3) n) TO STDOUT", stream)
        assert postgres.copy_out(connection, "COPY (SELECT 1 WHERE false) TO STDOUT", io.BytesIO()) == 0
    assert (rows, stream.getvalue()) == (3, b"1\t50 %\n2\t50 %\n3\t50 %\n")


def test_a_stream_that_fails_ends_its_connection_and_no_other(env: object) -> None:
    class Full(io.BytesIO):
        def write(self, _block: object) -> int:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), postgres.snapshot() as connection:
        postgres.copy_out(connection, "COPY (SELECT n FROM generate_series(1, 100000) n) TO STDOUT", Full())
    for _use in range(10):
        assert postgres.read("SELECT 1")[0][0] == 1
