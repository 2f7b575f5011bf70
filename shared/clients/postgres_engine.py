"""The process's engine: its pool of Postgres connections, how a connection is opened, and the circuit breaker.

SQLAlchemy is imported on the first statement, so that cached answers do not wait for it.
"""

from __future__ import annotations

import logging
import sys
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import orjson

from shared.clients import closed_on_reset, postgres_wire
from shared.clients.bulkhead import Bulkhead, share_of
from shared.clients.postgres_errors import ERROR_RESPONSE, without_values
from shared.clients.postgres_lost import LostConnections
from shared.errors import DatabaseUnavailable
from shared.settings import Settings, settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

log = logging.getLogger(__name__)

# Seconds after a failed connection during which requests fail at once instead of each waiting for a connection.
BREAKER_S = 1.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@cache
def engine() -> Engine:
    """Return the process's engine. Its connections autocommit, so that a read needs no BEGIN or COMMIT."""
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
        # Parameters are personal data: emails, hashes and searches must not reach the logs in a driver's message.
        hide_parameters=True,
        isolation_level="AUTOCOMMIT",
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
    )

    @event.listens_for(pooled, "do_connect")
    def connect(dialect: Any, _record: object, arguments: list[Any], options: dict[str, Any]) -> Any:
        # Otherwise, the timeout of a server that accepts connections but stays silent is not a driver's error.
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
        # One round trip for all settings. On SSDs, random reads cost about as much as sequential ones, and statements
        # are too short for JIT compilation to pay off.
        connection.execute_simple(
            f"SET statement_timeout = {int(config.statement_timeout_s * 1000)}; SET jit = off; "
            "SET random_page_cost = 1.1; SET timezone = 'UTC'"
            + (f"; SET aisle.public_url = {_literal(config.public_url)}" if config.public_url else "")
            + (f"; SET ROLE {config.database_role}" if config.database_role else "")
        )
        connection._usock.settimeout(postgres_wire.answer_deadline_s(config.statement_timeout_s))

    @event.listens_for(pooled, "checkout")
    def check(_connection: object, record: Any, _proxy: object) -> None:
        # What broke one connection probably broke those open at the same time, which would only show in use.
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
    """Return a text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def array_literal(values: list[Any]) -> str:
    """Return a list parameter in Postgres' array syntax. Every text is quoted, so that ``null`` stays a text.

    The driver's own adapter quotes only what it considers special, which does not include lower-case ``null``.
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
    """Return the engine arguments for the server: through the Cloud SQL connector, or at an address."""
    if config.cloud_sql_instance:
        from shared.clients import cloud_sql

        return {"url": "postgresql+pg8000://", "creator": cloud_sql.connect}
    from sqlalchemy import make_url

    address = make_url(config.require("database_url"))
    arguments: dict[str, Any] = {"timeout": config.database_timeout_s, "tcp_keepalive": True}
    if address.host in LOOPBACK:
        # Otherwise the driver loads the system's certificates for each connection although the server has no TLS.
        arguments["ssl_context"] = False
    return {"url": address, "connect_args": arguments}


class _Breaker:
    """A circuit breaker: remembers a failed connection for BREAKER_S seconds."""

    failed_at: float = float("-inf")
    # Connections opened before this time are replaced when they are next used.
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


def connect_apart() -> Any:
    """Return a driver connection outside the pool, as the login role itself instead of DATABASE_ROLE."""
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
    """Run a constant statement as the login role, without DATABASE_ROLE, and return its rows.

    Uses a connection of its own, in case no other can be opened. Driver errors propagate.
    """
    connection = connect_apart()
    try:
        rows: list[Any] = connection.execute_simple(sql).rows
        return rows
    finally:
        postgres_wire.drop(connection)


lost_connections = LostConnections(lambda: list(_opened), connect_apart)


# The driver's open connections, so that close() also reaches those in use.
_opened: WeakSet[Any] = WeakSet()


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
