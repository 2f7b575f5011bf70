"""Transactions in the real Postgres: they take effect completely or not at all, and broken connections are dropped."""

from collections.abc import Callable

import pytest

from shared.clients import postgres_engine
from shared.clients.postgres import execute, execute_prepared, read, transaction, write
from shared.errors import DatabaseUnavailable

Run = Callable[..., list[object]]


@pytest.fixture(autouse=True)
def things(env: dict[str, str]) -> None:
    """Create a table whose key is only checked at the commit."""
    write("CREATE TABLE things (id bigint PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")


def stored_ids() -> list[int]:
    return [int(row[0]) for row in read("SELECT id FROM things ORDER BY 1")]


def run_in_transaction(run: Run, *statements: str, then: Exception | None = None) -> None:
    """Run statements in one transaction, and raise ``then`` inside it."""
    with transaction() as connection:
        for statement in statements:
            run(connection, statement)
        if then is not None:
            raise then


def add(number: int) -> str:
    return f"INSERT INTO things VALUES ({number})"


@pytest.mark.parametrize("run", [execute, execute_prepared])
def test_a_transaction_takes_effect_completely_or_not_at_all(run: Run) -> None:
    run_in_transaction(run, add(1), add(2))
    with pytest.raises(ValueError, match="half way"):
        run_in_transaction(run, add(3), then=ValueError("half way"))
    with pytest.raises(Exception, match="division by zero"):
        run_in_transaction(run, add(4), "SELECT 1 / 0")
    assert stored_ids() == [1, 2]


@pytest.mark.parametrize("run", [execute, execute_prepared])
def test_an_error_at_the_commit_is_raised_and_rolled_back(run: Run) -> None:
    run_in_transaction(run, add(1))
    with pytest.raises(Exception, match="duplicate key"):
        run_in_transaction(run, add(5), add(1))
    assert stored_ids() == [1]
    assert not read("SELECT FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'")


@pytest.mark.parametrize("run", [execute, execute_prepared])
def test_a_connection_that_broke_in_a_transaction_is_not_used_again(run: Run) -> None:
    with pytest.raises(DatabaseUnavailable):
        run_in_transaction(run, add(1), "SELECT pg_terminate_backend(pg_backend_pid())")
    postgres_engine.breaker.failed_at = float("-inf")
    run_in_transaction(run, add(2))
    assert stored_ids() == [2]


def test_a_statement_whose_columns_a_migration_changed_is_prepared_again() -> None:
    run_in_transaction(execute_prepared, "SELECT * FROM things")
    write("ALTER TABLE things ADD COLUMN name text")
    with pytest.raises(DatabaseUnavailable):
        run_in_transaction(execute_prepared, "SELECT * FROM things")
    run_in_transaction(execute_prepared, "SELECT * FROM things")
