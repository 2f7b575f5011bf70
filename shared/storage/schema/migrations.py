"""Numbered, forward-only SQL migrations: `shared/sql/migrations/NNNN_name.sql`, each applied once in a transaction.

The previous release's code is still running while a migration is applied: add in one release, remove in the next.
"""

from collections.abc import Callable
from pathlib import Path

from shared.clients.postgres import execute, transaction
from shared.storage.schema.advisory_locks import MIGRATIONS, lock_until_commit

FOLDER = Path(__file__).parents[2] / "sql" / "migrations"


def available() -> list[Path]:
    """Return the migration files in order. Raises ValueError if a number is missing or used twice."""
    files = sorted(FOLDER.glob("*.sql"))
    for position, file in enumerate(files, start=1):
        if not file.name.startswith(f"{position:04d}_"):
            raise ValueError(f"Expected migration {position:04d}, found {file.name}.")
    return files


def pending(role: str | None = None) -> list[str]:
    """Return the names of the migrations that are not applied yet.

    ``role`` owns the tables; None means the connection's own role.
    """
    with transaction() as connection:
        if role:
            execute(connection, f"SET LOCAL ROLE {role}")
        if execute(connection, "SELECT to_regclass('schema_migrations')")[0][0] is None:
            return [file.stem for file in available()]
        applied = {row[0] for row in execute(connection, "SELECT name FROM schema_migrations")}
    return [file.stem for file in available() if file.stem not in applied]


def migrate(report: Callable[[str], None] = lambda _line: None, role: str | None = None) -> list[str]:
    """Apply the pending migrations and return their names. Safe to run concurrently, and again after a failure.

    ``role`` will own the new tables; None means the connection's own role. ``report`` gets a line for each migration.
    """
    applied: list[str] = []
    for file in available():
        with transaction(statement_timeout_s=0) as connection:
            lock_until_commit(connection, MIGRATIONS)
            if role:
                execute(connection, f"SET LOCAL ROLE {role}")
            execute(
                connection,
                """CREATE TABLE IF NOT EXISTS schema_migrations
                                   (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())""",
            )
            if execute(connection, "SELECT 1 FROM schema_migrations WHERE name = :name", {"name": file.stem}):
                continue
            # Through the driver itself, because colons and percent signs in a migration are not parameters.
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.execute_simple(file.read_text())
            execute(connection, "INSERT INTO schema_migrations (name) VALUES (:name)", {"name": file.stem})
        report(f"migration {file.stem}")
        applied.append(file.stem)
    return applied
