"""An empty database beside the configured one, for benchmarks that load a shop of their own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import make_url

from shared import clients
from shared.clients import postgres, postgres_engine, postgres_wire
from shared.settings import settings


@contextmanager
def configured(url: str, redis_url: str | None = None) -> Iterator[None]:
    """Point this process to the database of this URL, and to another Redis if there is one, until the block ends."""
    wanted = {"DATABASE_URL": url} | ({} if redis_url is None else {"REDIS_URL": redis_url})
    before = {name: settings().require(name.lower()) for name in wanted}
    os.environ.update(wanted)
    clients.reset()
    try:
        yield
    finally:
        os.environ.update(before)
        clients.reset()


@contextmanager
def scratch(name: str) -> Iterator[str]:
    """Point this process to a migrated, empty database and yield its URL; drop the database at the end."""
    from shared.storage.schema.migrations import migrate

    before = settings().require("database_url")
    url = make_url(before).set(database=name).render_as_string(hide_password=False)
    postgres.write(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    postgres.write(f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        with configured(url):
            migrate()
            yield url
    finally:
        postgres.write(f"DROP DATABASE {name} WITH (FORCE)")


def vacuum(table: str) -> None:
    """Vacuum and analyze a table, as autovacuum would do in time: BRIN indexes know the new rows only then."""
    with postgres_engine.engine().connect() as connection:
        driver: Any = connection.connection.driver_connection
        # it takes minutes in a large table, and not inside a transaction
        with postgres_wire.deadline(driver, postgres_wire.answer_deadline_s(0)):
            postgres.execute(connection, "SET statement_timeout = 0")
            postgres.execute(connection, f"VACUUM (ANALYZE) {table}")
            postgres.execute(connection, "RESET statement_timeout")
