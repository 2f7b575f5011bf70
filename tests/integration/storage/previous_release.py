"""A database that the release before a migration has filled."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from shared.storage.schema import migrations
from tests.integration.conftest import Running, settings_of


@contextmanager
def migrated_since(
    migration: str, fill: Callable[[], object], database: str, services: Running, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Use a database that was filled before the migration, and migrated since; drop it at the end."""
    services.administrate(f"CREATE DATABASE {database}")
    every = migrations.available()
    place = [file.stem for file in every].index(migration)
    try:
        with settings_of(services.environment | {"DATABASE_URL": services.url(database)}):
            monkeypatch.setattr(migrations, "available", lambda: every[:place])
            migrations.migrate()
            fill()
            monkeypatch.setattr(migrations, "available", lambda: every)
            assert migration in migrations.migrate()
            yield
    finally:
        services.administrate(f"DROP DATABASE {database} WITH (FORCE)")
