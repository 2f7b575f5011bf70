"""Prepare running services for serving: schema, topics, and the first load of an empty shop.

It runs as a process of its own, whose imports and memory are gone when it ends.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.errors import CommandError, Refused
from local.places import home
from local.state import write_private

DATA = ("online_retail", "synthetic", "none")
# An interrupted load has used up ids, and the examples in the documents name those of a first load.
FIRST_IDS = (
    "SELECT setval(pg_get_serial_sequence('products', 'id'), coalesce(max(id), 0) + 1, false) FROM products",
    "SELECT setval(pg_get_serial_sequence('categories', 'id'), coalesce(max(id), 0) + 1, false) FROM categories",
)


def first_jobs_are_due(folder: Path) -> bool:
    """Return whether a load began whose first jobs have not all succeeded."""
    return (folder / "loading").exists()


def remember_first_jobs(folder: Path, *, due: bool) -> None:
    """Record whether the first jobs have to run."""
    if due:
        write_private(folder / "loading", {"stage": "jobs"})
    else:
        (folder / "loading").unlink(missing_ok=True)


def is_empty() -> bool:
    """Return whether the migrated database has neither products nor events."""
    from shared.clients.postgres import read

    sql = "SELECT NOT EXISTS (SELECT FROM products) AND NOT EXISTS (SELECT FROM events)"
    return bool(read(sql)[0][0])


def say(line: str) -> None:
    """Print a line of progress."""
    print(f"  {line}", flush=True)


def load(folder: Path, name: str, options: dict[str, Any]) -> None:
    """Load a data set into the empty database in one transaction, after which its first jobs are due.

    Raises Refused, CommandError or AppError; then nothing is stored.
    """
    from local.data import load as load_data

    store(folder, name, lambda report: load_data(name, options, report))


def store(folder: Path, name: str, work: Callable[[Callable[[str], None]], None]) -> None:
    """Store a shop in the empty database by ``work``, which takes a function for lines of progress.

    Its first jobs are due afterwards. Raises what ``work`` raises, which must then have stored nothing.
    """
    from shared.clients.postgres import write

    say(f"Data: loading {name} ...")
    # recorded first: a crash right after the commit must not leave a shop without its jobs
    remember_first_jobs(folder, due=True)
    for statement in FIRST_IDS:
        write(statement)
    try:
        work(say)
    except BaseException:
        remember_first_jobs(folder, due=False)
        raise


def load_first(folder: Path, data: str) -> None:
    """Load ``data`` into an empty database; say that another one is kept, since `none` does not empty it."""
    if not is_empty():
        say("Data: kept from earlier starts. For another shop set AISLE_HOME to another folder, or run ./aisle reset.")
    elif data != "none":
        load(folder, data, {})


def prepare(folder: Path, data: str, endpoint: str, *, offer_login: bool) -> None:
    """Migrate, create topics and subscriptions, and load ``data`` if the database is empty. Raises CommandError.

    With ``offer_login`` a database without an admin gets one (local/first_login.py).
    """
    from local import doors, first_login, topics
    from shared.clients import postgres_engine
    from shared.manifest import manifest
    from shared.storage.schema import migrations

    applied = migrations.migrate(lambda line: say(f"Schema: {line}"))
    if not applied:
        say("Schema: up to date")
    topics.ensure(manifest(), endpoint, os.environ, os.environ[doors.PUSH_TOKEN])
    say("Topics and subscriptions: ready")
    load_first(folder, data)
    if offer_login:
        first_login.offer(folder)
    postgres_engine.close()


def main() -> int:
    """Run as `python -m local.prepare`; report a failure in one line."""
    parser = argparse.ArgumentParser(prog="python -m local.prepare")
    parser.add_argument("--data", choices=DATA, required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--offer-login", action="store_true")
    chosen = parser.parse_args()
    from shared.errors import AppError

    try:
        prepare(home(), chosen.data, chosen.endpoint, offer_login=chosen.offer_login)
    except (CommandError, Refused) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except AppError as error:
        print(error.detail or error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
