"""Postgres: one pooled engine per process, and functions that run statements on it.

SQLAlchemy is imported with the first statement, so that a cached answer does not wait for it.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

import orjson

from shared.clients import closed_on_reset, postgres_wire
from shared.clients.bulkhead import Bulkhead, note_commit, share_of
from shared.clients.postgres_errors import (
    ERROR_RESPONSE,
    is_gone,
    no_answer,
    pause_before_repeating,
    sqlstate,
    unavailable,
    without_values,
)
from shared.clients.postgres_lost import LostConnections
from shared.errors import DatabaseBusy, DatabaseUnavailable
from shared.settings import Settings, settings
from shared.telemetry import spans

if TYPE_CHECKING:
    from sqlalchemy import Connection as Connection
    from sqlalchemy import Engine, Row
else:
    # other modules annotate with it; importing the real class would cost start-up time
    Connection = Any

log = logging.getLogger(__name__)
T = TypeVar("T")

# After a failed connection requests fail at once for this long instead of each waiting for a connection.
BREAKER_S = 1.0
PLAN_CHANGED = "0A000"
ABORTED = "25P02"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@cache
def engine() -> Engine:
    """Return the process's engine. Its connections autocommit, so that a read costs no BEGIN and no COMMIT."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import DisconnectionError

    config = settings()
    pooled = create_engine(
        **_server(config),
        pool_size=config.database_pool_size,
        max_overflow=0,
        pool_timeout=config.database_timeout_s,
        pool_recycle=1800,
        pool_pre_ping=False,
        # parameters are personal: emails, hashes and searches must not reach the logs in a driver's message
        hide_parameters=True,
        isolation_level="AUTOCOMMIT",
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
    )

    @event.listens_for(pooled, "do_connect")
    def connect(dialect: Any, _record: object, arguments: list[Any], options: dict[str, Any]) -> Any:
        # without it, the time-out of a server that accepts connections and stays silent is an error of no driver
        try:
            return dialect.connect(*arguments, **options)
        except OSError as error:
            raise dialect.dbapi.InterfaceError(f"Can't create a connection: {error}") from error

    @event.listens_for(pooled, "connect")
    def configure(connection: Any, record: Any) -> None:
        postgres_wire.watch(connection, config.database_timeout_s)
        _opened.add(connection)
        record.info["opened_at"] = time.monotonic()
        connection.register_out_adapter(list, array_literal)
        connection.message_types[ERROR_RESPONSE] = without_values(connection.message_types[ERROR_RESPONSE])
        # One round trip for all. Random reads cost SSDs about as much as sequential ones, and statements are too short
        # for JIT compilation to pay.
        connection.execute_simple(
            f"SET statement_timeout = {int(config.statement_timeout_s * 1000)}; SET jit = off; "
            "SET random_page_cost = 1.1; SET timezone = 'UTC'"
            + (f"; SET aisle.public_url = {_literal(config.public_url)}" if config.public_url else "")
            + (f"; SET ROLE {config.database_role}" if config.database_role else "")
        )
        connection._usock.settimeout(postgres_wire.answer_deadline_s(config.statement_timeout_s))

    @event.listens_for(pooled, "checkout")
    def check(_connection: object, record: Any, _proxy: object) -> None:
        # What broke one connection probably broke those that were open with it, and only using them would show it.
        if record.info.get("opened_at", 0.0) < breaker.replace_before:
            raise DisconnectionError("opened before another connection broke")

    @event.listens_for(pooled, "invalidate")
    def drop(connection: Any, record: Any, _error: object) -> None:
        record.info.pop("opened_at", None)
        postgres_wire.drop(connection)

    if config.cloud_sql_instance:
        from shared.clients import cloud_sql

        cloud_sql.survive_freezing(pooled)
    return pooled


def _literal(text: str) -> str:
    """Return a text as a constant of SQL."""
    return "'" + text.replace("'", "''") + "'"


def array_literal(values: list[Any]) -> str:
    """Return a list parameter in Postgres' array syntax. Every text is quoted, so that ``null`` stays a text.

    The driver's own adapter quotes only what it takes to be special, and not ``null`` in small letters.
    """
    from pg8000.converters import array_out

    parts = []
    for value in values:
        if type(value) is str:
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f'"{escaped}"')
        elif isinstance(value, list):
            parts.append(array_literal(value))
        else:
            parts.append(array_out(value))
    return f"{{{','.join(parts)}}}"


def _server(config: Settings) -> dict[str, Any]:
    """Return the engine's arguments that say where to connect: through Cloud SQL's connector, or to an address."""
    if config.cloud_sql_instance:
        from shared.clients import cloud_sql

        return {"url": "postgresql+pg8000://", "creator": cloud_sql.connect}
    from sqlalchemy import make_url

    address = make_url(config.require("database_url"))
    arguments: dict[str, Any] = {"timeout": config.database_timeout_s, "tcp_keepalive": True}
    if address.host in LOOPBACK:
        # Otherwise the driver loads the system's certificates for each connection, although the server has no TLS.
        arguments["ssl_context"] = False
    return {"url": address, "connect_args": arguments}


class _Breaker:
    """A circuit breaker: remembers a failed connection for BREAKER_S seconds."""

    failed_at: float = float("-inf")
    # connections that were opened before are replaced when they are next used
    replace_before: float = float("-inf")

    def check(self) -> None:
        """Raise DatabaseUnavailable if a connection failed within the last BREAKER_S seconds."""
        if time.monotonic() - self.failed_at < BREAKER_S:
            raise DatabaseUnavailable("Postgres does not answer; try again in a moment.")

    def trip(self, error: Exception) -> DatabaseUnavailable:
        """Remember and log a failed connection; return the error to raise."""
        self.failed_at = time.monotonic()
        log.error("database unavailable", extra={"error": str(error.__cause__ or error)[:500]})
        return DatabaseUnavailable("Postgres does not answer; try again in a moment.")


breaker = _Breaker()


@cache
def bulkhead() -> Bulkhead:
    """Return the bulkhead in front of the process's pool."""
    config = settings()
    return Bulkhead(share_of(config.database_pool_size), config.database_timeout_s, lost_connections.search)


def _connect_apart() -> Any:
    """Return a connection of the driver outside the pool, for the login itself and not for DATABASE_ROLE."""
    config = settings()
    if config.cloud_sql_instance:
        from shared.clients import cloud_sql

        apart = cloud_sql.connect()
    else:
        import pg8000
        from sqlalchemy import make_url

        address = make_url(config.require("database_url"))
        apart = pg8000.connect(
            user=address.username,
            host=address.host,
            database=address.database,
            port=address.port or 5432,
            password=address.password,
            **_server(config)["connect_args"],
        )
    postgres_wire.watch(apart, config.database_timeout_s)
    return apart


def read_as_login(sql: str) -> list[Any]:
    """Run a constant statement as the user who logs in, without DATABASE_ROLE, and return its rows.

    On a connection of its own, for the case that no other can be opened. Raises what the driver raises.
    """
    connection = _connect_apart()
    try:
        rows: list[Any] = connection.execute_simple(sql).rows
        return rows
    finally:
        postgres_wire.drop(connection)


lost_connections = LostConnections(lambda: list(_opened), _connect_apart)


# the driver's open connections, so that close() reaches those in use too
_opened: WeakSet[Any] = WeakSet()


def _run(work: Callable[[Connection], T], *, again: bool) -> T:
    breaker.check()
    # After a restart of the server every idle connection of the pool is broken, and only using one shows that. The
    # second attempt has a new connection.
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
                    # nothing of the statement took effect
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
            # who has waited until the deadline waits for no second one
            if connected and again and not repeated and not no_answer(error):
                repeated = True
                continue
            raise breaker.trip(error) from error


def read(sql: str, **parameters: Any) -> list[Row[*tuple[Any, ...]]]:
    """Run a statement that changes nothing and return its rows. Repeats it once after a broken connection.

    Raises DatabaseUnavailable if Postgres does not answer or cannot serve, and StatementTimeout if it takes too long.
    """
    return _run(lambda connection: execute(connection, sql, parameters), again=True)


def read_one(sql: str, **parameters: Any) -> Row[*tuple[Any, ...]] | None:
    """Return the first row of ``read``; None if there is none."""
    rows = read(sql, **parameters)
    return rows[0] if rows else None


def write(sql: str, **parameters: Any) -> list[Row[*tuple[Any, ...]]]:
    """Run a statement as its own transaction and return its rows (none without RETURNING).

    Raises DatabaseUnavailable if Postgres does not answer or cannot serve. Repeated only when the server itself undid
    it: otherwise it may have taken effect.
    """
    rows = _run(lambda connection: execute(connection, sql, parameters), again=False)
    note_commit()
    return rows


def run_prepared(sql: str, *, again: bool = True, **parameters: Any) -> list[list[Any]]:
    """Run a constant statement as its own transaction, prepared once per connection, and return its rows.

    Parsing, planning and two of the driver's three round trips are then paid once; on the hot paths they cost more than
    the execution. ``again=False`` is for statements that must not be repeated after a broken connection.
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
            # a migration changed the columns that the statement returns
            return _execute_prepared(connection, sql, parameters)
        if is_gone(error):
            connection.invalidate(error)
        raise


@contextmanager
def transaction(*, statement_timeout_s: float | None = None) -> Iterator[Connection]:
    """Open a transaction over several statements: committed at the end, rolled back after an error.

    ``statement_timeout_s`` replaces STATEMENT_TIMEOUT_S for a job's long statements; 0 means no limit. Raises
    DatabaseUnavailable if Postgres does not answer, and DatabaseBusy if it undid the transaction for another one: a
    route then runs once more (shared/http/problems.py), a message is delivered again.
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
        if (unable := unavailable(error)) is not None:
            raise unable from error
        if not is_gone(error):
            raise
        if connected:
            breaker.replace_before = time.monotonic()
        else:
            lost_connections.search()
        raise breaker.trip(error) from error


@contextmanager
def trial() -> Iterator[Connection]:
    """Open a transaction that is rolled back at its end, to see what a change would do. Raises as ``transaction``."""
    with suppress(_Undone), transaction() as connection:
        yield connection
        raise _Undone


class _Undone(Exception):
    """Ends a trial."""


def _limited(connection: Connection, statement_timeout_s: float | None) -> AbstractContextManager[None]:
    """Return the block in which the socket waits as long as a statement with this limit may run."""
    if statement_timeout_s is None:
        return nullcontext()
    driver: Any = connection.connection.driver_connection
    return postgres_wire.deadline(driver, postgres_wire.answer_deadline_s(statement_timeout_s))


@contextmanager
def _begun(connection: Connection) -> Iterator[None]:
    # By the driver itself: SQLAlchemy would need five more round trips to leave autocommit and to return to it.
    driver: Any = connection.connection.driver_connection
    try:
        driver.execute_simple("BEGIN ISOLATION LEVEL READ COMMITTED")
        yield
        driver.execute_simple("COMMIT")
    except BaseException as error:
        if isinstance(error, Exception) and is_gone(error):
            # There is nothing to roll back, and the pool must not hand out this connection again.
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
            # a migration changed the columns that the statement returns; only a new transaction can prepare it again
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
        # The stream failed half way: the driver cannot leave the COPY, and a rollback would hide the reason.
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
            # The stream failed half way: the driver has not read the rest of the COPY.
            connection.invalidate()
        raise
    finally:
        cursor.close()


@contextmanager
def snapshot() -> Iterator[Connection]:
    """Open a transaction that changes nothing and in which every statement sees the database as it is at the first."""
    with transaction(statement_timeout_s=0) as connection:
        execute(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield connection


@closed_on_reset
def close() -> None:
    """Close every connection, including those in use, and forget the engine."""
    if engine.cache_info().currsize:
        engine().dispose()
    engine.cache_clear()
    bulkhead.cache_clear()
    for connection in list(_opened):
        with suppress(Exception):
            connection.close()
    _opened.clear()
    if "shared.clients.cloud_sql" in sys.modules:
        sys.modules["shared.clients.cloud_sql"].close()
    breaker.failed_at = breaker.replace_before = float("-inf")


def ping() -> None:
    """Raise DatabaseUnavailable if Postgres does not answer."""
    read("SELECT 1")
