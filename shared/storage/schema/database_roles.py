"""Postgres roles and grants for deployments in which every function and job has its own login.

* ``aisle_owner`` owns the schema. The job ``migrate`` and operators use it.
* ``aisle_jobs`` reads and writes rows, refreshes statistics, and calls the functions in OWNER_FUNCTIONS, which create
  and drop partitions with the owner's rights. Jobs use it.
* ``aisle_app`` reads and writes rows. Functions use it.

``prepare`` runs before the migrations, as a role that may create roles and extensions (``cloudsqlsuperuser`` in Cloud
SQL). See docs/decisions/0013-database-roles.md.
"""

import re
from collections.abc import Sequence
from typing import Final

from shared.clients.postgres import Connection, execute, transaction
from shared.storage.schema.advisory_locks import MIGRATIONS, lock_until_commit
from shared.storage.schema.migrations import available

OWNER: Final = "aisle_owner"
JOBS: Final = "aisle_jobs"
APP: Final = "aisle_app"
EXTENSION: Final = re.compile(r"^CREATE EXTENSION IF NOT EXISTS (\w+)", re.MULTILINE)

MISSING: Final = "SELECT name FROM unnest(cast(:names AS text[])) AS name WHERE to_regrole(quote_ident(name)) IS NULL"
QUOTED: Final = "SELECT quote_ident(name) FROM unnest(cast(:names AS text[])) AS name ORDER BY name"
IS_MEMBER: Final = """
SELECT EXISTS (
    SELECT FROM pg_auth_members
    WHERE roleid = to_regrole(cast(:role AS text)) AND member = to_regrole(quote_ident(cast(:user AS text)))
)"""
# SQL functions, defined in migrations, that run as the owner; Aisle's cloud functions must not call them.
OWNER_FUNCTIONS: Final = ", ".join(
    (
        "ensure_event_partitions(date, date)",
        "drop_event_partition(text)",
        "create_similarity_partition(integer)",
        "attach_similarity_partition(integer)",
        "drop_similarity_partition(integer)",
    )
)
# On everything that exists, and as default privileges on everything that the owner creates later.
GRANTS: Final = (
    *(
        statement
        for role, grant, kind in (
            (APP, "SELECT, INSERT, UPDATE, DELETE", "TABLES"),
            (JOBS, "SELECT, INSERT, UPDATE, DELETE, MAINTAIN", "TABLES"),
            *((role, "USAGE, SELECT", "SEQUENCES") for role in (APP, JOBS)),
            *((role, "EXECUTE", "FUNCTIONS") for role in (APP, JOBS)),
        )
        for statement in (
            f"GRANT {grant} ON ALL {kind} IN SCHEMA public TO {role}",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA public GRANT {grant} ON {kind} TO {role}",
        )
    ),
    f"REVOKE EXECUTE ON FUNCTION {OWNER_FUNCTIONS} FROM {APP}",
    # A trigger rejects the rest: UPDATE, which the previous release's erasure still names, and a job's DELETE of
    # anything but old logins.
    f"REVOKE DELETE ON audit_log FROM {APP}",
    f"REVOKE UPDATE ON audit_log FROM {JOBS}",
    # Only migrations write it.
    f"REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM {APP}, {JOBS}",
)


def prepare(owners: Sequence[str], jobs: Sequence[str], writers: Sequence[str]) -> None:
    """Create the roles and extensions, and grant each login its role. Idempotent.

    A job that was an owner in an earlier release stays one until the next run, because the previous release's jobs are
    still running. Raises ValueError if one of the logins does not exist.
    """
    with transaction(statement_timeout_s=0) as connection:
        lock_until_commit(connection, MIGRATIONS)
        for role, members in ((OWNER, owners), (JOBS, jobs), (APP, writers)):
            if execute(connection, MISSING, {"names": [role]}):
                execute(connection, f"CREATE ROLE {role} NOLOGIN")
            if missing := execute(connection, MISSING, {"names": list(members)}):
                raise ValueError(f"There is no Postgres user {missing[0][0]}.")
            if role == JOBS:
                _revoke_ownership(connection, members)
            quoted = [row[0] for row in execute(connection, QUOTED, {"names": list(members)})]
            # The current role too, because the job migrate records its own run in the owner's table.
            execute(connection, f"GRANT {role} TO {', '.join(['CURRENT_ROLE', *quoted])}")
        execute(connection, f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}")
        execute(connection, f"GRANT USAGE ON SCHEMA public TO {JOBS}, {APP}")
        # Loads and imports create temporary tables.
        execute(connection, f"GRANT TEMPORARY ON DATABASE {_database(connection)} TO {OWNER}, {JOBS}, {APP}")
        for file in available():
            for name in EXTENSION.findall(file.read_text()):
                execute(connection, f"CREATE EXTENSION IF NOT EXISTS {name}")


def _revoke_ownership(connection: Connection, jobs: Sequence[str]) -> None:
    """Revoke the owner role from each job to which an earlier run has granted the jobs' role."""
    for user in jobs:
        if all(execute(connection, IS_MEMBER, {"role": role, "user": user})[0][0] for role in (JOBS, OWNER)):
            quoted = execute(connection, QUOTED, {"names": [user]})[0][0]
            execute(connection, f"REVOKE {OWNER} FROM {quoted}")


def grant() -> None:
    """Grant functions and jobs access to all tables, including later ones and partitions."""
    with transaction(statement_timeout_s=0) as connection:
        execute(connection, f"SET LOCAL ROLE {OWNER}")
        for statement in GRANTS:
            execute(connection, statement)


def _database(connection: Connection) -> str:
    return str(execute(connection, "SELECT quote_ident(current_database())")[0][0])
