"""Numbered, forward-only SQL migrations: `shared/sql/migrations/NNNN_name.sql`, each applied once in a transaction.

Each must be safe beside the previous release's code: add first, remove a release later.
"""

from collections.abc import Callable
from pathlib import Path

from shared.clients.postgres import execute, read, transaction

FOLDER = Path(__file__).parents[2] / "sql" / "migrations"
# any constant: two migrators wait for each other on it
LOCK = 4_711_001


def available() -> list[Path]:
    """Return the migrations in order. Raises ValueError when two have one number or one is missing."""
    files = sorted(FOLDER.glob("*.sql"))
    for position, file in enumerate(files, start=1):
        if not file.name.startswith(f"{position:04d}_"):
            raise ValueError(f"Expected migration {position:04d}, found {file.name}.")
    return files


def pending() -> list[str]:
    """Return the names of the migrations that have not been applied."""
    if read("SELECT to_regclass('schema_migrations')")[0][0] is None:
        return [file.stem for file in available()]
    applied = {row[0] for row in read("SELECT name FROM schema_migrations")}
    return [file.stem for file in available() if file.stem not in applied]


def migrate(report: Callable[[str], None] = lambda _line: None, role: str | None = None) -> list[str]:
    """Apply what is pending and return its names. Safe to run twice at once, and again after a failure.

    What is made belongs to ``role``, where one is given.
    """
    done: list[str] = []
    for file in available():
        with transaction(statement_timeout_s=0) as connection:
            execute(connection, "SELECT pg_advisory_xact_lock(:lock)", {"lock": LOCK})
            if role:
                execute(connection, f"SET LOCAL ROLE {role}")
            execute(
                connection,
                """CREATE TABLE IF NOT EXISTS schema_migrations
                                   (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())""",
            )
            if execute(connection, "SELECT 1 FROM schema_migrations WHERE name = :name", {"name": file.stem}):
                continue
            # the driver's own cursor: a migration's text has colons and percent signs that are nobody's parameters
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.execute_simple(file.read_text())
            execute(connection, "INSERT INTO schema_migrations (name) VALUES (:name)", {"name": file.stem})
        report(f"migration {file.stem}")
        done.append(file.stem)
    return done
