"""Transactions against the real Postgres: all of one or nothing, and a broken connection is nobody else's."""

from collections.abc import Callable

import pytest

from shared.clients import postgres
from shared.clients.postgres import execute, execute_prepared, read, transaction, write
from shared.errors import DatabaseUnavailable

Run = Callable[..., list[object]]


@pytest.fixture(autouse=True)
def things(env: dict[str, str]) -> None:
    """A table whose key is checked at the end of a transaction."""
    write("CREATE TABLE things (id bigint PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")


def kept() -> list[int]:
    return [int(row[0]) for row in read("SELECT id FROM things ORDER BY 1")]


def together(run: Run, *statements: str, then: Exception | None = None) -> None:
    """Run statements in one transaction."""
    with transaction() as connection:
        for statement in statements:
            run(connection, statement)
        if then is not None:
            raise then


def add(number: int) -> str:
    return f"INSERT INTO things VALUES ({number})"


@pytest.mark.parametrize("run", [execute, execute_prepared])
def test_all_of_a_transaction_is_kept_or_nothing(run: Run) -> None:
    together(run, add(1), add(2))
    with pytest.raises(ValueError, match="half way"):
        together(run, add(3), then=ValueError("half way"))
    with pytest.raises(Exception, match="division by zero"):
        together(run, add(4), "SELECT 1 / 0")
    assert kept() == [1, 2]


@pytest.mark.parametrize("run", [execute, execute_prepared])
def test_what_fails_at_the_commit_is_raised_and_undone(run: Run) -> None:
    together(run, add(1))
    with pytest.raises(Exception, match="duplicate key"):
        together(run, add(5), add(1))
    assert kept() == [1]
    assert not read("SELECT FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'")


@pytest.mark.parametrize("run", [execute, execute_prepared])
def test_a_connection_that_broke_in_a_transaction_is_not_used_again(run: Run) -> None:
    with pytest.raises(DatabaseUnavailable):
        together(run, add(1), "SELECT pg_terminate_backend(pg_backend_pid())")
    postgres.breaker.failed_at = float("-inf")
    together(run, add(2))
    assert kept() == [2]


def test_a_statement_whose_answer_a_migration_changed_is_prepared_anew() -> None:
    together(execute_prepared, "SELECT * FROM things")
    write("ALTER TABLE things ADD COLUMN name text")
    with pytest.raises(DatabaseUnavailable):
        together(execute_prepared, "SELECT * FROM things")
    together(execute_prepared, "SELECT * FROM things")
