"""The migration of the search entries: products of the previous release are found, and so is what it writes later."""

import json
from collections.abc import Iterator

import pytest

from shared.clients import postgres
from shared.storage.catalog.product_pages import Filters, Page, find
from tests.integration.conftest import Running
from tests.integration.storage.catalog.test_search_entries import DIFFERENT
from tests.integration.storage.previous_release import migrated_since

PRODUCTS = "INSERT INTO products (name, price, tags) VALUES ('Lamp', 3, '{red}'), ('Stool', 3, '{}')"


@pytest.fixture
def migrated(services: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database with two products of the previous release, migrated since."""
    with migrated_since(
        "0036_search_entries", lambda: postgres.write(PRODUCTS), "before_search_entries", services, monkeypatch
    ):
        yield


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
