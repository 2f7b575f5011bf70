"""What errors of Postgres and its driver mean, and what of them may be logged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from shared.errors import StatementTimeout
from shared.settings import settings

log = logging.getLogger(__name__)

# parts of the driver's messages about a broken connection
BROKEN = ("network error", "connection is closed", "create a connection", "Server refuses", "server")
# the server cancelled a statement: it ran longer than STATEMENT_TIMEOUT_S
CANCELLED = "57014"
# the protocol's code of an error, and its fields without values: severity, SQLSTATE, message, hint, position, and the
# names of schema, table, column, type and constraint
ERROR_RESPONSE = b"E"
SAFE_FIELDS = frozenset("SVCMHPstcdn")
# SQLSTATE class of values that cannot be read or stored
INVALID_VALUE = "22"
# SQLSTATE prefixes of values that are wrong whenever the statement runs: they cannot be read, a column or a constraint
# forbids them, or they exceed a limit of the server. Not those of a lost race: a foreign or unique key.
PERMANENT = (INVALID_VALUE, "23502", "23514", "54")
# SQLSTATE prefixes of a server that is gone, starting, stopping or out of connections
GONE = ("08", "57P", "53300", "25006")


def without_values(handle: Callable[[bytes, Any], None]) -> Callable[[bytes, Any], None]:
    """Return the driver's handler of an error without the error's parts that repeat values of rows and parameters.

    The text of an error goes into logs; DETAIL, CONTEXT and the message of an invalid value name emails and hashes.
    """

    def handle_error(data: bytes, context: Any) -> None:
        handle(data, context)
        fields: dict[str, str] = context.error.args[0]
        kept = {key: text for key, text in fields.items() if key in SAFE_FIELDS}
        if fields.get("C", "").startswith(INVALID_VALUE):
            kept["M"] = kept.get("M", "").partition(': "')[0]
        context.error.args = (kept,)

    return handle_error


def sqlstate(error: BaseException | None) -> str:
    """Return the SQLSTATE of an error from Postgres; empty for any other error."""
    arguments = getattr(error, "args", ())
    return str(arguments[0].get("C", "")) if arguments and isinstance(arguments[0], dict) else ""


def is_gone(error: Exception) -> bool:
    """Return whether the server failed, and not the statement."""
    from pg8000.exceptions import InterfaceError as DriverInterfaceError
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    if isinstance(error, PoolTimeout):
        return True
    if isinstance(error, (InterfaceError, DriverInterfaceError)):
        # the driver raises the same class for a broken connection and for a statement it cannot parse
        return any(part in str(error) for part in BROKEN)
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        state = sqlstate(error.orig)
        return state.startswith(GONE) or (isinstance(error, OperationalError) and not state)
    return sqlstate(error).startswith(GONE)


def permanent_fault(error: Exception) -> str | None:
    """Return why no repetition of a statement can store its values; None if a later attempt may succeed."""
    import orjson

    state = sqlstate(error) or sqlstate(getattr(error, "orig", None))
    if state.startswith(PERMANENT):
        arguments = (getattr(error, "orig", None) or error).args
        return f"cannot be stored: {arguments[0].get('M', '')} (SQLSTATE {state})"
    if isinstance(error, (orjson.JSONEncodeError, UnicodeEncodeError)):
        return f"cannot be stored: {type(error).__name__}"
    return None


def timed_out(error: Exception) -> StatementTimeout | None:
    """Return the error to raise for a statement that the server cancelled; None for any other error."""
    if CANCELLED not in (sqlstate(error), sqlstate(getattr(error, "orig", None))):
        return None
    log.warning("statement cancelled", extra={"timeout_s": settings().statement_timeout_s})
    return StatementTimeout(
        "The database did not finish in time. Ask for less (a smaller page, fewer words or filters) or try later.",
        retry_after_s=5,
    )
