"""./aisle rehearse: practise a restore on a database of its own.

It loads a shop into a new embedded server, dumps the database with pg_dump, drops it, restores it from the dump, and
compares a checksum of every table's rows. docs/runbooks/restore.md describes the same in the cloud.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from local import postgres
from local.errors import CommandError
from local.services import Services
from local.state import State

TABLES = """
SELECT format('%I', c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1
"""
# the order of rows does not change it
CHECKSUM = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM {table} AS t"
SEQUENCES = "SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1"


def fingerprint(port: int, password: str, database: str = postgres.NAME) -> dict[str, tuple[Any, ...]]:
    """Return row count and checksum of every table, and the value of every sequence."""
    with postgres.connection(port, password, database) as connection:
        state: dict[str, tuple[Any, ...]] = {}
        for (table,) in connection.run(TABLES):
            state[table] = tuple(connection.run(CHECKSUM.format(table=table))[0])
        for name, value in connection.run(SEQUENCES):
            state[f"sequence {name}"] = (value,)
        return state


def run(program: str, port: int, password: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs against the server. Raises CommandError with its error output."""
    connection = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": postgres.NAME, "PGPASSWORD": password}
    process = subprocess.run(
        [postgres.programs() / program, *arguments],
        env=dict(os.environ) | connection,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if process.returncode:
        raise CommandError(f"{program} failed: {process.stderr[-1000:]}")


def rehearse(products: int = 200, events: int = 5_000) -> int:
    """Rehearse the restore and print each step; return 1 if a table or sequence differs."""
    with tempfile.TemporaryDirectory(prefix="aisle-rehearsal-") as home:
        state = State.create(Path(home) / "state")
        with Services(state, durable=False, own={}) as services:
            port, password = services.parts[0].port or 0, state.secret("postgres")
            os.environ.update(services.environment)
            from local.prepare import load
            from shared.clients import reset
            from shared.storage.schema.migrations import migrate

            migrate(lambda _line: None)
            load(state.home, "synthetic", {"products": products, "users": 100, "events": events})
            before = fingerprint(port, password)
            # no connection of this process may hold the database while it is dropped
            reset()
            dump = Path(home) / "backup.dump"
            began = time.monotonic()
            run("pg_dump", port, password, "--format=custom", f"--file={dump}", postgres.NAME)
            print(f"dumped    {dump.stat().st_size / 2**20:.1f} MiB in {time.monotonic() - began:.1f} s")
            with postgres.connection(port, password) as connection:
                connection.run(f"DROP DATABASE {postgres.NAME} WITH (FORCE)")
                connection.run(f"CREATE DATABASE {postgres.NAME}")
            print("dropped   the database")
            began = time.monotonic()
            run("pg_restore", port, password, "--exit-on-error", f"--dbname={postgres.NAME}", str(dump))
            print(f"restored  in {time.monotonic() - began:.1f} s")
            after = fingerprint(port, password)
            reset()
    rows = sum(counted[0] for name, counted in before.items() if not name.startswith("sequence "))
    different = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    for name in different:
        print(f"DIFFERS   {name}: {before.get(name)} before, {after.get(name)} after")
    if different:
        return 1
    print(f"compared  {len(before)} tables and sequences with {rows} rows: the same")
    return 0
