"""Classification of errors from Postgres and its driver, and which parts of them may be logged."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

from shared.errors import DatabaseBusy, DatabaseUnavailable, StatementTimeout
from shared.settings import settings

log = logging.getLogger(__name__)

# Substrings of the driver's messages about a broken connection.
BROKEN = ("network error", "connection is closed", "create a connection", "Server refuses", "server")
# SQLSTATE of a statement that the server cancelled because it ran longer than STATEMENT_TIMEOUT_S.
CANCELLED = "57014"
# The protocol's code of an error response, and its fields that contain no values: severity, SQLSTATE, message, hint,
# position, and the names of schema, table, column, type and constraint.
ERROR_RESPONSE = b"E"
SAFE_FIELDS = frozenset("SVCMHPstcdn")
# SQLSTATE class of values that cannot be read or stored.
INVALID_VALUE = "22"
# SQLSTATE prefixes of values that fail whenever the statement runs: they cannot be read, a column or constraint forbids
# them, or they exceed a server limit. Foreign and unique keys are not included, since a race may have caused these.
PERMANENT = (INVALID_VALUE, "23502", "23514", "54")
# SQLSTATE prefixes of a server that is gone, starting, stopping or out of connections, or that ended the session.
GONE = ("08", "57P", "53300", "25006", "25P03", "25P04")
# The server rolled the transaction back in favour of another one: a deadlock or a serialization failure.
ROLLED_BACK = ("40P01", "40001")
UNDONE_PAUSE_S = 0.05
# SQLSTATE prefixes of a server that works but cannot do this now, each with the message for the client: a full disk or
# no memory, a lock held by another transaction, a failed file operation.
SHORT_OF_RESOURCES = ("53", "58")
LOCKED = ("55P03",)


def without_values(handle: Callable[[bytes, Any], None]) -> Callable[[bytes, Any], None]:
    """Wrap the driver's error handler so that it drops the parts that repeat values of rows and parameters.

    Error texts are logged, and DETAIL, CONTEXT and the message about an invalid value can contain emails and hashes.
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
    """Return whether the server or the connection failed, as opposed to the statement."""
    from pg8000.exceptions import InterfaceError as DriverInterfaceError
    from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    if isinstance(error, (PoolTimeout, DisconnectionError)):
        return True
    if isinstance(error, (InterfaceError, DriverInterfaceError)):
        # The driver raises the same class for a broken connection and for a statement that it cannot parse.
        return any(part in str(error) for part in BROKEN)
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        state = sqlstate(error.orig)
        return state.startswith(GONE) or (isinstance(error, OperationalError) and not state)
    return sqlstate(error).startswith(GONE)


def permanent_fault(error: Exception) -> str | None:
    """Return why no retry of a statement can ever store its values; None if a later attempt may succeed."""
    import orjson

    state = _state(error)
    if state.startswith(PERMANENT):
        arguments = (getattr(error, "orig", None) or error).args
        return f"cannot be stored: {arguments[0].get('M', '')} (SQLSTATE {state})"
    if isinstance(error, (orjson.JSONEncodeError, UnicodeEncodeError)):
        return f"cannot be stored: {type(error).__name__}"
    return None


def no_answer(error: BaseException) -> bool:
    """Return whether the server stayed silent until the socket's deadline."""
    cause: BaseException | None = error
    while cause is not None:
        # The kernel's own timeout, for a peer that acknowledges nothing, comes early and has an errno.
        if isinstance(cause, TimeoutError) and cause.errno is None:
            return True
        cause = cause.__cause__
    return False


def unavailable(error: Exception) -> DatabaseUnavailable | None:
    """Return the error to raise if the server, not the statement, is the cause; None for other errors.

    The connection itself works; other statements may succeed meanwhile.
    """
    if (timeout := timed_out(error)) is not None:
        return timeout
    state = _state(error)
    unable: DatabaseUnavailable | None = None
    if state.startswith(ROLLED_BACK):
        unable = DatabaseBusy(
            "Another request changed the same rows at the same time; send the request again.", undone=True
        )
    elif state.startswith(LOCKED):
        unable = DatabaseBusy(
            "Another change keeps the rows of this request locked; try again in a moment.", retry_after_s=2
        )
    elif state.startswith(SHORT_OF_RESOURCES) and not state.startswith(GONE):
        unable = DatabaseUnavailable("The database is short of disk or memory; try again later.", retry_after_s=30)
    if unable is not None:
        log.error("database cannot serve", extra={"sqlstate": state})
    return unable


def pause_before_repeating() -> float:
    """Return the seconds to wait before retrying work that the server rolled back: random, one to two UNDONE_PAUSE_S.

    Without a pause, the retry could overtake the transaction that won, take the lock just released to it, and lose
    again.
    """
    # Not security-relevant: it only spreads two requests.
    return UNDONE_PAUSE_S * (1 + random.random())  # noqa: S311


def _state(error: Exception) -> str:
    return sqlstate(error) or sqlstate(getattr(error, "orig", None))


def timed_out(error: Exception) -> StatementTimeout | None:
    """Return the error to raise for a statement that the server cancelled; None for any other error."""
    if _state(error) != CANCELLED:
        return None
    log.warning("statement cancelled", extra={"timeout_s": settings().statement_timeout_s})
    return StatementTimeout(
        "The database did not finish in time. Ask for less (a smaller page, fewer words or filters) or try later.",
        retry_after_s=5,
    )
