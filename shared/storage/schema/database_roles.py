"""Roles and grants in Postgres for deployments where every function and job logs in as a user of its own.

* ``aisle_owner`` owns the schema. The job ``migrate`` and operators use it.
* ``aisle_jobs`` reads and writes rows, refreshes statistics, and calls the functions in OWNER_FUNCTIONS, which create
  and drop partitions with the owner's rights. Jobs use it.
* ``aisle_app`` reads and writes rows. Functions use it.

``prepare`` runs before the migrations, in a role that may create roles and extensions (in Cloud SQL
``cloudsqlsuperuser``). See docs/decisions/0013-database-roles.md.
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
# functions of migrations that act as the owner; functions must not call them
OWNER_FUNCTIONS: Final = ", ".join(
    (
        "ensure_event_partitions(date, date)",
        "drop_event_partition(text)",
        "create_similarity_partition(integer)",
        "attach_similarity_partition(integer)",
        "drop_similarity_partition(integer)",
    )
)
# on everything that exists, and by default on everything that the owner creates later
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
    # A trigger refuses what is left: UPDATE, which the previous release's erasure still names, and a job's DELETE of
    # anything but old log-ins.
    f"REVOKE DELETE ON audit_log FROM {APP}",
    f"REVOKE UPDATE ON audit_log FROM {JOBS}",
    # only migrations write it
    f"REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM {APP}, {JOBS}",
)


def prepare(owners: Sequence[str], jobs: Sequence[str], writers: Sequence[str]) -> None:
    """Create the roles and the extensions, and grant each user its role. Safe to repeat.

    A job that was an owner in an earlier release stays one until the next run: the previous release's jobs still run.
    Raises ValueError if one of the users does not exist.
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
            # the current role too: the job migrate records its own run in the owner's table
            execute(connection, f"GRANT {role} TO {', '.join(['CURRENT_ROLE', *quoted])}")
        execute(connection, f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}")
        execute(connection, f"GRANT USAGE ON SCHEMA public TO {JOBS}, {APP}")
        # loads and imports create temporary tables
        execute(connection, f"GRANT TEMPORARY ON DATABASE {_database(connection)} TO {OWNER}, {JOBS}, {APP}")
        for file in available():
            for name in EXTENSION.findall(file.read_text()):
                execute(connection, f"CREATE EXTENSION IF NOT EXISTS {name}")


def _revoke_ownership(connection: Connection, jobs: Sequence[str]) -> None:
    """Take the owner's role from each job that an earlier run has given its own."""
    for user in jobs:
        if all(execute(connection, IS_MEMBER, {"role": role, "user": user})[0][0] for role in (JOBS, OWNER)):
            quoted = execute(connection, QUOTED, {"names": [user]})[0][0]
            execute(connection, f"REVOKE {OWNER} FROM {quoted}")


def grant() -> None:
    """Grant functions and jobs the rows of every table, including later migrations and partitions."""
    with transaction(statement_timeout_s=0) as connection:
        execute(connection, f"SET LOCAL ROLE {OWNER}")
        for statement in GRANTS:
            execute(connection, statement)


def _database(connection: Connection) -> str:
    return str(execute(connection, "SELECT quote_ident(current_database())")[0][0])
