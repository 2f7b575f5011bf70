"""Whether the database has a schema at all: a new deployment has none until the job ``migrate`` has run."""

from typing import Final

from shared.clients.postgres import read
from shared.clients.postgres_errors import sqlstate
from shared.errors import AppError

# of a table or function that does not exist
UNDEFINED: Final = ("42P01", "42883")
# of a parameter's value that does not exist: the role of DATABASE_ROLE, which the first migration creates
INVALID_PARAMETER: Final = "22023"


def explains(error: BaseException) -> bool:
    """Return whether a statement failed because no migration has run yet. Of a schema that lacks one table: False."""
    state = sqlstate(error) or sqlstate(getattr(error, "orig", None))
    if state == INVALID_PARAMETER:
        return "role " in str(error)
    if state not in UNDEFINED:
        return False
    try:
        return bool(read("SELECT to_regclass('schema_migrations') IS NULL")[0][0])
    except AppError:
        # the database is away by now: the statement's own error is reported
        return False
