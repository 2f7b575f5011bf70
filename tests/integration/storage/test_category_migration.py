"""The migration that makes paths of categories keeps all of them, and the previous release's imports work after it."""

from collections.abc import Iterator

import pytest

from shared.clients import postgres
from shared.storage.catalog import bulk_writes
from tests.integration.conftest import Running
from tests.integration.storage.catalog.test_bulk_writes import row
from tests.integration.storage.previous_release import migrated_since

CATEGORIES = """
INSERT INTO categories (id, name, parent_id) VALUES
    (1, 'Home', NULL), (2, 'Candles', 1), (3, 'Tall', 2), (4, 'Bags', NULL),
    -- each other's parent: a release long ago could write that
    (5, 'Loop', 6), (6, 'Ring', 5)"""
# what an import of the previous release runs for `Garden > Tools`, and for `Attic > Candles`
PREVIOUS = """
INSERT INTO categories (name, parent_id) SELECT w.name, p.id
FROM (VALUES ('{name}', {parent})) AS w(name, parent) LEFT JOIN categories p ON p.name = w.parent
ON CONFLICT (name) DO NOTHING"""


def fill() -> None:
    postgres.write(CATEGORIES)
    postgres.write("SELECT setval(pg_get_serial_sequence('categories', 'id'), 6)")
    postgres.write("INSERT INTO products (external_id, name, price, category_id) VALUES ('a', 'A', 1, 3)")


@pytest.fixture
def migrated(services: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database with categories of the previous release, migrated since."""
    with migrated_since("0014_products_of_shops", fill, "before_category_paths", services, monkeypatch):
        yield


def paths() -> dict[int, tuple[str, str]]:
    rows = postgres.read("SELECT id, leaf, path FROM categories ORDER BY id")
    return {int(row[0]): (row[1], row[2]) for row in rows}


def test_categories_keep_their_ids_and_get_paths(migrated: None) -> None:
    assert paths() == {
        1: ("Home", "Home"),
        2: ("Candles", "Home > Candles"),
        3: ("Tall", "Home > Candles > Tall"),
        4: ("Bags", "Bags"),
        5: ("Loop", "Loop"),
        6: ("Ring", "Ring"),
    }
    assert postgres.read("SELECT category_id FROM products")[0][0] == 3


def test_the_previous_release_imports_beside_this_one(migrated: None) -> None:
    with postgres.transaction() as connection:
        bulk_writes.upsert(connection, [row("b", category="Attic > Candles"), row("c", category="Home > Candles")])
    for name, parent in (("Garden", "NULL"), ("Tools", "'Garden'"), ("Candles", "'Attic'")):
        postgres.write(PREVIOUS.format(name=name, parent=parent))
    stored = [path for _leaf, path in paths().values()]
    # `Candles` exists by that name: the previous release finds the category that it always found
    expected = {"Attic", "Attic > Candles", "Bags", "Garden", "Garden > Tools", "Home", "Home > Candles"}
    assert sorted(stored) == sorted(expected | {"Home > Candles > Tall", "Loop", "Ring"})
    assert postgres.read("SELECT name FROM categories WHERE path = 'Home > Candles'")[0][0] == "Candles"


def test_a_rename_reaches_the_paths_below(migrated: None) -> None:
    postgres.write("UPDATE categories SET name = 'House' WHERE id = 1")
    assert [paths()[id_][1] for id_ in (1, 2, 3, 4)] == [
        "House",
        "House > Candles",
        "House > Candles > Tall",
        "Bags",
    ]
