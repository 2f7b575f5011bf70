"""Roles and grants in Postgres for deployments where every function logs in as a user of its own.

* ``aisle_owner`` owns the schema. Jobs use it, because they create and drop partitions.
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
APP: Final = "aisle_app"
EXTENSION: Final = re.compile(r"^CREATE EXTENSION IF NOT EXISTS (\w+)", re.MULTILINE)

MISSING: Final = "SELECT name FROM unnest(cast(:names AS text[])) AS name WHERE to_regrole(quote_ident(name)) IS NULL"
QUOTED: Final = "SELECT quote_ident(name) FROM unnest(cast(:names AS text[])) AS name ORDER BY name"
# on everything that exists, and by default on everything that the owner creates later
GRANTS: Final = tuple(
    statement
    for grant, kind in (
        ("SELECT, INSERT, UPDATE, DELETE", "TABLES"),
        ("USAGE, SELECT", "SEQUENCES"),
        ("EXECUTE", "FUNCTIONS"),
    )
    for statement in (
        f"GRANT {grant} ON ALL {kind} IN SCHEMA public TO {APP}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA public GRANT {grant} ON {kind} TO {APP}",
    )
)


def prepare(owners: Sequence[str], writers: Sequence[str]) -> None:
    """Create both roles and the extensions, and grant each user its role. Safe to repeat.

    Raises ValueError if one of the users does not exist.
    """
    with transaction(statement_timeout_s=0) as connection:
        lock_until_commit(connection, MIGRATIONS)
        for role, members in ((OWNER, owners), (APP, writers)):
            if execute(connection, MISSING, {"names": [role]}):
                execute(connection, f"CREATE ROLE {role} NOLOGIN")
            if missing := execute(connection, MISSING, {"names": list(members)}):
                raise ValueError(f"There is no Postgres user {missing[0][0]}.")
            quoted = [row[0] for row in execute(connection, QUOTED, {"names": list(members)})]
            # the current role too: the job migrate records its own run in the owner's table
            execute(connection, f"GRANT {role} TO {', '.join(['CURRENT_ROLE', *quoted])}")
        execute(connection, f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}")
        execute(connection, f"GRANT USAGE ON SCHEMA public TO {APP}")
        # loads and imports create temporary tables
        execute(connection, f"GRANT TEMPORARY ON DATABASE {_database(connection)} TO {OWNER}, {APP}")
        for file in available():
            for name in EXTENSION.findall(file.read_text()):
                execute(connection, f"CREATE EXTENSION IF NOT EXISTS {name}")


def grant() -> None:
    """Grant functions the rows of every table, including later migrations and partitions."""
    with transaction(statement_timeout_s=0) as connection:
        execute(connection, f"SET LOCAL ROLE {OWNER}")
        for statement in GRANTS:
            execute(connection, statement)


def _database(connection: Connection) -> str:
    return str(execute(connection, "SELECT quote_ident(current_database())")[0][0])
