"""Diagnosis if a statement cannot find the schema: no migration has run yet, or DATABASE_ROLE cannot read it."""

from typing import Final

from shared.clients.postgres_engine import read_as_login
from shared.clients.postgres_errors import sqlstate
from shared.errors import AppError, MissingSetting, SchemaMissing
from shared.settings import settings

# SQLSTATEs for a table or function that does not exist, or is in a schema that the role may not use.
UNDEFINED: Final = ("42P01", "42883")
# SQLSTATE for an invalid parameter value: the role in DATABASE_ROLE does not exist.
INVALID_PARAMETER: Final = "22023"
DENIED: Final = "42501"
# Whether the database has the schema, and whether the role may read it. Every user may read the system catalog, and
# every role that the job `migrate` creates may read this table.
LOOK: Final = """
SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'schema_migrations' AND relkind = 'r'),
       (SELECT coalesce(bool_or(has_schema_privilege(r.oid, c.relnamespace, 'USAGE')
                                AND has_table_privilege(r.oid, c.oid, 'SELECT')), false)
        FROM pg_roles AS r CROSS JOIN pg_class AS c
        WHERE r.rolname = {role} AND c.relname = 'schema_migrations' AND c.relkind = 'r')"""
REMEDY: Final = (
    "Set DATABASE_ROLE to a role that the job migrate creates: aisle_jobs for a job, aisle_app for a function."
)


def explanation(error: BaseException) -> AppError | None:
    """Return the error to raise instead if a statement did not find, or may not read, the schema.

    Returns None for any other error, including that for a single missing table.
    """
    state = sqlstate(error) or sqlstate(getattr(error, "orig", None))
    is_role = state == INVALID_PARAMETER and "role " in str(error)
    if not is_role and state not in (*UNDEFINED, DENIED):
        return None
    role = settings().database_role
    try:
        # The setting's format does not allow quotation marks.
        is_present, is_readable = read_as_login(LOOK.format(role="session_user" if role is None else f"'{role}'"))[0]
    except Exception:  # noqa: BLE001 — the database is unreachable by now: the statement's own error is reported
        return None
    if not is_present:
        return SchemaMissing("The database has no schema yet; run the job migrate, and this job again.")
    if is_role:
        return MissingSetting(f"The database has no role {role}, which DATABASE_ROLE names. {REMEDY}")
    if state == DENIED and "set role" in str(error):
        return MissingSetting(
            f"The user may not assume the role {role}, which DATABASE_ROLE names. {REMEDY} migrate grants it to the "
            "users in DATABASE_JOBS and DATABASE_WRITERS: run it after one was added."
        )
    if is_readable:
        return None
    return MissingSetting(f"The role {role or 'of the user'} cannot read the schema. {REMEDY}")
