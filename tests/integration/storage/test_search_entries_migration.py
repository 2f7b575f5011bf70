"""The migration of the search entries: products of the previous release are found, and so is what it writes later."""

import json
from collections.abc import Iterator

import pytest

from shared.clients import postgres
from shared.storage.catalog.product_pages import Filters, Page, find
from shared.storage.schema import migrations
from tests.integration.conftest import Running, settings_of
from tests.integration.storage.catalog.test_search_entries import DIFFERENT

DATABASE = "before_search_entries"
MIGRATION = "0036_search_entries"


@pytest.fixture
def migrated(services: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database with two products of the previous release, migrated since."""
    services.administrate(f"CREATE DATABASE {DATABASE}")
    every = migrations.available()
    place = [file.stem for file in every].index(MIGRATION)
    try:
        with settings_of(services.environment | {"DATABASE_URL": services.url(DATABASE)}):
            monkeypatch.setattr(migrations, "available", lambda: every[:place])
            migrations.migrate()
            postgres.write("INSERT INTO products (name, price, tags) VALUES ('Lamp', 3, '{red}'), ('Stool', 3, '{}')")
            monkeypatch.setattr(migrations, "available", lambda: every)
            assert MIGRATION in migrations.migrate()
            yield
    finally:
        services.administrate(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def test_products_have_entries_from_the_beginning(migrated: None) -> None:
    assert postgres.read("SELECT count(*) FROM search_entries") == [(2,)]
    assert postgres.read(DIFFERENT) == []
    page = json.loads(find(Filters(search="lamp"), Page()))
    assert (page["total"], page["facets"]["tags"]) == (1, [{"tag": "red", "count": 1}])
    # the previous release knows the table products only
    postgres.write("UPDATE products SET name = 'Lamp of oak' WHERE name = 'Stool'")
    postgres.write("INSERT INTO products (name, price) VALUES ('Lamp of steel', 4)")
    assert json.loads(find(Filters(search="lamp"), Page()))["total"] == 3
    assert postgres.read(DIFFERENT) == []
