"""Cloud SQL by its connector: mutual TLS to the private address, and the function's Google identity as its login.

Certificates are renewed when a connection is made (lazily), not by a thread: an idle instance has no CPU, and would
wake with a certificate that nobody renewed (docs/decisions/0010-cloud-sql-connector.md).
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from shared.settings import settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

# A connection that slept for longer is not used again: what is between may have forgotten it without a word.
IDLE_S: Final = 240.0
# How long sent bytes may stay unanswered before the connection counts as lost.
UNANSWERED_MS: Final = 20_000
# Cloud SQL's Admin API; a stand-in in tests
API: str | None = None


@cache
def connector() -> Any:
    """Return the process's connector; the library costs a second to import, and only the first statement pays."""
    # typed, unlike its neighbours in the namespace, which a type checker that followed it would no longer find
    library = import_module("google.cloud.sql.connector")
    return library.Connector(
        ip_type="PRIVATE",
        enable_iam_auth=True,
        refresh_strategy="LAZY",
        timeout=max(1, round(settings().database_timeout_s * 2)),
        sqladmin_api_endpoint=API,
    )


def connect() -> Any:
    """Return a new driver connection, as the engine's pool asks for one.

    Whatever keeps the connector from it — no answer, no permission, no such instance — is the driver's InterfaceError,
    so that a caller sees what it sees of any server that is away.
    """
    from pg8000.exceptions import Error, InterfaceError

    config = settings()
    try:
        return connector().connect(
            config.require("cloud_sql_instance"),
            "pg8000",
            user=config.require("database_user"),
            db=config.database_name,
        )
    except Error:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InterfaceError(f"Can't create a connection through Cloud SQL's connector: {reason}") from error


def survive_freezing(engine: Engine) -> None:
    """Have the pool replace what a frozen instance left open for too long, and notice a peer that is gone."""
    from sqlalchemy import event
    from sqlalchemy.exc import DisconnectionError

    @event.listens_for(engine, "connect")
    def watch(connection: Any, _record: object) -> None:
        wire: socket.socket = connection._usock
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)

    @event.listens_for(engine, "invalidate")
    def drop(connection: Any, _record: object, _error: object) -> None:
        # the driver closes a broken TLS socket only when its unsent bytes are collected
        with suppress(OSError, AttributeError):
            os.close(connection._usock.detach())

    @event.listens_for(engine, "checkin")
    def note(_connection: object, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def check(_connection: object, record: Any, _proxy: object) -> None:
        if time.monotonic() - record.info.get("idle_since", float("inf")) > IDLE_S:
            record.info.pop("idle_since", None)
            raise DisconnectionError("idle for too long")


def close() -> None:
    """Close the connector and forget it."""
    if connector.cache_info().currsize:
        made = connector()
        with suppress(Exception):
            made.close()
            # the library stops its loop and leaves it open
            made._loop.close()
    connector.cache_clear()
