"""A database that the release before a migration has filled."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from shared.storage.schema import migrations
from tests.integration.conftest import Running, settings_of


@contextmanager
def migrated_since(
    migration: str,
    fill: Callable[[], object],
    database: str,
    services: Running,
    monkeypatch: pytest.MonkeyPatch,
    *,
    alone: bool = False,
) -> Iterator[None]:
    """Use a database that was filled before the migration, and migrated since; drop it at the end.

    With ``alone``, no later migration follows.
    """
    services.administrate(f"CREATE DATABASE {database}")
    every = migrations.available()
    place = [file.stem for file in every].index(migration)
    try:
        with settings_of(services.environment | {"DATABASE_URL": services.url(database)}):
            monkeypatch.setattr(migrations, "available", lambda: every[:place])
            migrations.migrate()
            fill()
            following = every[place : place + 1] if alone else every[place:]
            monkeypatch.setattr(migrations, "available", lambda: every[:place] + following)
            assert migrations.migrate() == [file.stem for file in following]
            yield
    finally:
        services.administrate(f"DROP DATABASE {database} WITH (FORCE)")
