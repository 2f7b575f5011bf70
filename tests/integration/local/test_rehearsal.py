"""The rehearsal of a restore: it compares the restored database with the original, and notices a difference."""

import os

import pytest

from local import postgres, rehearse
from tests.integration.conftest import Running


def test_a_database_comes_back_from_its_dump_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(os.environ)
    try:
        assert rehearse.rehearse(products=50, events=500) == 0
    finally:
        os.environ.clear()
        os.environ.update(before)
    output = capsys.readouterr().out
    assert output.index("dropped") < output.index("restored") < output.index("compared")


def test_a_row_that_is_missing_or_changed_shows(services: Running) -> None:
    port, seen = services.postgres.port or 0, []
    services.administrate("CREATE DATABASE rehearsal")
    try:
        with postgres.connection(port, services.password, "rehearsal") as connection:
            connection.run("CREATE TABLE t (id integer, name text)")
            for statement in (
                "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
                "UPDATE t SET name = 'c' WHERE id = 2",
                "DELETE FROM t WHERE id = 2",
            ):
                connection.run(statement)
                seen.append(rehearse.fingerprint(port, services.password, "rehearsal")["t"])
        assert [rows for rows, _checksum in seen] == [2, 2, 1]
        assert len({checksum for _rows, checksum in seen}) == 3
    finally:
        services.administrate("DROP DATABASE rehearsal WITH (FORCE)")
