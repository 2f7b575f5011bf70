"""Cloud SQL through its connector: mutual TLS to the private address, and the function's Google identity as login.

Certificates are renewed when a connection is opened, not by a thread: an idle instance gets no CPU, so a thread could
not renew them in time (docs/decisions/0010-cloud-sql-connector.md).
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from shared.settings import settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

# A connection idle for longer than this many seconds is replaced: a gateway may have dropped it silently.
IDLE_S: Final = 240.0
# The address of the Cloud SQL Admin API; None for Google's. Tests set a fake.
API: str | None = None


@cache
def connector() -> Any:
    """Return the process's connector. Importing its library takes a second; only the first statement pays for it."""
    # Imported by name: a type checker that follows this typed package loses the untyped rest of the google.cloud
    # namespace.
    library = import_module("google.cloud.sql.connector")
    return library.Connector(
        ip_type="PRIVATE",
        enable_iam_auth=True,
        refresh_strategy="LAZY",
        timeout=max(1, round(settings().database_timeout_s * 2)),
        sqladmin_api_endpoint=API,
    )


def connect() -> Any:
    """Return a new driver connection for the engine's pool.

    Raises the driver's InterfaceError for every failure of the connector (no response, no permission, no such
    instance), so that callers handle it like any unreachable server.
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
    """Make the pool replace connections that were idle for longer than IDLE_S, as on a frozen instance."""
    from sqlalchemy import event
    from sqlalchemy.exc import DisconnectionError

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
        current = connector()
        with suppress(Exception):
            current.close()
            # The library stops its event loop without closing it.
            current._loop.close()
    connector.cache_clear()
