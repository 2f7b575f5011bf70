"""Functions that run statements on the pooled engine of shared/clients/postgres_engine.py.

SQLAlchemy is imported on the first statement, so that cached answers do not wait for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from shared.clients import postgres_wire
from shared.clients.bulkhead import note_commit
from shared.clients.postgres_engine import breaker, bulkhead, engine, lost_connections
from shared.clients.postgres_errors import (
    is_gone,
    no_answer,
    pause_before_repeating,
    sqlstate,
    unavailable,
)
from shared.errors import DatabaseBusy, DatabaseUnavailable
from shared.telemetry import spans

if TYPE_CHECKING:
    from sqlalchemy import Connection as Connection
    from sqlalchemy import Row
else:
    # Used in other modules' annotations; importing the real class would cost start-up time.
    Connection = Any

log = logging.getLogger(__name__)
T = TypeVar("T")

PLAN_CHANGED = "0A000"
ABORTED = "25P02"


def _run(work: Callable[[Connection], T], *, again: bool) -> T:
    breaker.check()
    # After a server restart every idle connection in the pool is broken, which only shows in use. The second attempt
    # gets a new connection.
    repeated = False
    while True:
        connected = False
        try:
            with bulkhead().hold(), engine().connect() as connection:
                connected = True
                return work(connection)
        except Exception as error:
            if (unable := unavailable(error)) is not None:
                if isinstance(unable, DatabaseBusy) and unable.undone and not repeated:
                    # The statement had no effect.
                    repeated = True
                    time.sleep(pause_before_repeating())
                    continue
                raise unable from error
            if not is_gone(error):
                raise
            if connected:
                breaker.replace_before = time.monotonic()
            else:
                lost_connections.search()
            # Do not retry after waiting until the deadline.
            if connected and again and not repeated and not no_answer(error):
                repeated = True
                continue
            raise breaker.trip(error) from error


def read(sql: str, **parameters: Any) -> list[Row[*tuple[Any, ...]]]:
    """Run a read-only statement and return its rows. Retries once after a broken connection.

    Raises DatabaseUnavailable if Postgres is unreachable or cannot serve, and StatementTimeout if it takes too long.
    """
    return _run(lambda connection: execute(connection, sql, parameters), again=True)


def read_one(sql: str, **parameters: Any) -> Row[*tuple[Any, ...]] | None:
    """Return the first row of ``read``, or None."""
    rows = read(sql, **parameters)
    return rows[0] if rows else None


def write(sql: str, **parameters: Any) -> list[Row[*tuple[Any, ...]]]:
    """Run a statement as its own transaction and return its rows (none without RETURNING).

    Raises DatabaseUnavailable if Postgres is unreachable or cannot serve. Retried only if the server itself rolled it
    back; otherwise it may have taken effect.
    """
    rows = _run(lambda connection: execute(connection, sql, parameters), again=False)
    note_commit()
    return rows


def run_prepared(sql: str, *, again: bool = True, **parameters: Any) -> list[list[Any]]:
    """Run a constant statement as its own transaction, prepared once per connection, and return its rows.

    Parsing, planning and two of the driver's three round trips are then needed only once; on the hot paths they cost
    more than execution. ``again=False`` is for statements that must not be retried after a broken connection.
    """
    return _run(lambda connection: _execute_prepared(connection, sql, parameters), again=again)


def _execute_prepared(connection: Connection, sql: str, parameters: dict[str, Any]) -> list[list[Any]]:
    from pg8000.native import PreparedStatement

    statements: dict[str, Any] = connection.info.setdefault("prepared", {})
    driver = connection.connection.driver_connection
    try:
        statement = statements.get(sql)
        if statement is None:
            statement = statements[sql] = PreparedStatement(driver, sql)
        with spans.database_call("postgresql", sql):
            return statement.run(**parameters) or []
    except Exception as error:
        if sqlstate(error) == PLAN_CHANGED and statements.pop(sql, None) is not None:
            # A migration has changed the columns that the statement returns.
            return _execute_prepared(connection, sql, parameters)
        if is_gone(error):
            connection.invalidate(error)
        raise


@contextmanager
def transaction(*, statement_timeout_s: float | None = None) -> Iterator[Connection]:
    """Open a transaction for several statements: committed at the end, rolled back after an error.

    ``statement_timeout_s`` replaces STATEMENT_TIMEOUT_S for a job's long statements; 0 means no limit. Raises
    DatabaseUnavailable if Postgres is unreachable, and DatabaseBusy if it rolled the transaction back in favour of
    another one: a route is then run once more (shared/http/problems.py), a message is redelivered.
    """
    breaker.check()
    connected = False
    try:
        with bulkhead().hold(), engine().connect() as connection:
            connected = True
            with _limited(connection, statement_timeout_s), _begun(connection):
                if statement_timeout_s is not None:
                    execute(connection, f"SET LOCAL statement_timeout = {int(statement_timeout_s * 1000)}")
                yield connection
            note_commit()
    except Exception as error:
        if (away := explained(error, connected=connected)) is None:
            raise
        raise away from error


def explained(error: Exception, *, connected: bool) -> DatabaseUnavailable | None:
    """Return the error to raise if the server or the connection failed; None for any other error.

    ``connected`` says whether there was a connection. The breaker and the pool learn of a broken one.
    """
    if (unable := unavailable(error)) is not None:
        return unable
    if not is_gone(error):
        return None
    if connected:
        breaker.replace_before = time.monotonic()
    else:
        lost_connections.search()
    return breaker.trip(error)


@contextmanager
def trial() -> Iterator[Connection]:
    """Open a transaction that is rolled back at its end, for a dry run. Raises like ``transaction``."""
    with suppress(_Undone), transaction() as connection:
        yield connection
        raise _Undone


class _Undone(Exception):
    """Ends a trial."""


def _limited(connection: Connection, statement_timeout_s: float | None) -> AbstractContextManager[None]:
    """Return a context manager in which the socket waits as long as a statement with this limit may run."""
    if statement_timeout_s is None:
        return nullcontext()
    driver: Any = connection.connection.driver_connection
    return postgres_wire.deadline(driver, postgres_wire.answer_deadline_s(statement_timeout_s))


@contextmanager
def _begun(connection: Connection) -> Iterator[None]:
    # Through the driver itself: SQLAlchemy would need five more round trips to leave autocommit and return to it.
    driver: Any = connection.connection.driver_connection
    try:
        driver.execute_simple("BEGIN ISOLATION LEVEL READ COMMITTED")
        yield
        driver.execute_simple("COMMIT")
    except BaseException as error:
        if isinstance(error, Exception) and is_gone(error):
            # There is nothing to roll back, and the pool must not reuse this connection.
            connection.invalidate(error)
        elif not connection.invalidated:
            try:
                driver.execute_simple("ROLLBACK")
            except Exception:  # noqa: BLE001 — the first error is the one to raise
                connection.invalidate()
        raise


def execute(
    connection: Connection, sql: str, parameters: Mapping[str, Any] | None = None
) -> list[Row[*tuple[Any, ...]]]:
    """Run a statement inside ``transaction`` and return the rows it returns."""
    from sqlalchemy import text

    with spans.database_call("postgresql", sql):
        result = connection.execute(text(sql), parameters or {})
        return list(result) if result.returns_rows else []


def execute_prepared(connection: Connection, sql: str, parameters: Mapping[str, Any] | None = None) -> list[list[Any]]:
    """Like ``execute``, for a constant statement that is prepared once per connection: see ``run_prepared``."""
    try:
        return _execute_prepared(connection, sql, dict(parameters or {}))
    except Exception as error:
        if sqlstate(error) == ABORTED:
            # A migration has changed the columns that the statement returns; re-preparing it needs a new transaction.
            raise DatabaseUnavailable("The database schema was just changed; try again.") from error
        raise


def copy_in(connection: Connection, statement: str, stream: Any) -> None:
    """Run ``COPY … FROM STDIN`` with the bytes of ``stream`` inside ``transaction``."""
    import pg8000

    driver: Any = connection.connection.driver_connection
    cursor = driver.cursor()
    try:
        cursor.execute(statement, stream=stream)
    except pg8000.Error:
        raise
    except BaseException:
        # The stream failed halfway: the driver cannot leave the COPY, and a rollback would hide the cause.
        connection.invalidate()
        raise
    finally:
        cursor.close()


def copy_out(connection: Connection, statement: str, stream: Any) -> int:
    """Run ``COPY … TO STDOUT`` inside ``transaction``, write its bytes to ``stream``, and return the number of rows."""
    driver: Any = connection.connection.driver_connection
    cursor = driver.cursor()
    try:
        cursor.execute(statement, stream=stream)
        return int(cursor.rowcount)
    except Exception as error:
        if not sqlstate(error):
            # The stream failed halfway: the driver has not read the rest of the COPY.
            connection.invalidate()
        raise
    finally:
        cursor.close()


@contextmanager
def snapshot() -> Iterator[Connection]:
    """Open a read-only transaction in which every statement sees the database as of the first one."""
    with transaction(statement_timeout_s=0) as connection:
        execute(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield connection


def ping() -> None:
    """Raise DatabaseUnavailable if Postgres does not respond."""
    read("SELECT 1")
