"""Migration 0012 brings stored texts of the catalog into one form, and changes nothing else."""

from collections.abc import Iterator
from unicodedata import normalize

import pytest

from shared.clients import postgres
from shared.storage.catalog import canonical_texts
from shared.storage.catalog.canonical_texts import Changed
from tests.integration.conftest import Running, Serve
from tests.integration.storage.previous_release import migrated_since

DATABASE = "before_canonical_text"
MIGRATION = "0012_canonical_text"
NFC, NFD, BYSTANDER = normalize("NFC", "Café"), normalize("NFD", "Café"), "Cafe"
TWO_NFC, TWO_NFD = normalize("NFC", "Mädchen"), normalize("NFD", "Mädchen")
# 1 and 2 are one category, whose canonical form is the younger; 4 has only a decomposed form; 5 and 6 are inside them
CATEGORIES = """
INSERT INTO categories (id, name, parent_id) VALUES
    (1, :nfd, NULL), (2, :nfc, NULL), (3, :bystander, NULL), (4, :two_nfd, NULL), (5, 'Cups', 1), (6, 'Mugs', 4)"""
PRODUCTS = """
INSERT INTO products (id, external_id, name, price, category_id, brand, tags) VALUES
    (1, :nfd, :nfd || ' cup', 1, 1, :nfd, ARRAY[:nfd, 'red', :nfc]),
    (2, 'b', :nfc || ' cup', 1, 2, :nfc, ARRAY[:nfc]),
    (3, :bystander, :bystander || ' cup', 1, 3, :bystander, ARRAY[:bystander]),
    (4, :two_nfd, 'taken', 1, 4, NULL, '{}'),
    (5, :two_nfc, 'taker', 1, 5, NULL, '{}')"""
PREFERENCES = """
INSERT INTO user_preferences (user_id, kind, key, score, as_of) VALUES
    (1, 'category', '1', 8, now() - interval '14 days'), (1, 'category', '2', 1, now()),
    (1, 'brand', :nfd, 2, now()), (1, 'tag', :nfd, 3, now() - interval '28 days'), (1, 'tag', :bystander, 5, now()),
    (2, 'category', '3', 7, now()), (2, 'brand', :nfc, 4, now())"""
RULES = """
INSERT INTO rules (kind, category_id, brand, tag) VALUES
    ('exclude', 1, NULL, NULL), ('exclude', 2, NULL, NULL), ('exclude', 3, NULL, NULL), ('exclude', NULL, :nfd, :nfd)"""


def write(sql: str) -> None:
    names = {"nfc": NFC, "nfd": NFD, "bystander": BYSTANDER, "two_nfd": TWO_NFD, "two_nfc": TWO_NFC}
    postgres.write(sql, **{name: text for name, text in names.items() if f":{name}" in sql})


def fill() -> None:
    for table in ("rules", "user_preferences", "users", "products", "categories"):
        postgres.write(f"DELETE FROM {table}")
    write(CATEGORIES)
    write(PRODUCTS)
    postgres.write("INSERT INTO users (id, external_id) VALUES (1, 'u'), (2, 'bystander')")
    write(PREFERENCES)
    write(RULES)


@pytest.fixture
def filled(services: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database that the previous release filled, migrated since."""
    with migrated_since(MIGRATION, fill, DATABASE, services, monkeypatch, alone=True):
        yield


def check() -> None:
    categories = postgres.read("SELECT id, name, parent_id FROM categories ORDER BY id")
    assert [tuple(row) for row in categories] == [
        (2, NFC, None),
        (3, BYSTANDER, None),
        (4, TWO_NFC, None),
        (5, "Cups", 2),
        (6, "Mugs", 4),
    ]
    products = postgres.read("SELECT id, external_id, name, category_id, brand, tags FROM products ORDER BY id")
    assert [tuple(row) for row in products] == [
        (1, NFC, f"{NFC} cup", 2, NFC, [NFC, "red"]),
        (2, "b", f"{NFC} cup", 2, NFC, [NFC]),
        (3, BYSTANDER, f"{BYSTANDER} cup", 3, BYSTANDER, [BYSTANDER]),
        # its form is another product's id
        (4, TWO_NFD, "taken", 4, None, []),
        (5, TWO_NFC, "taker", 5, None, []),
    ]
    preferences = postgres.read("SELECT user_id, kind, key, score FROM user_preferences ORDER BY 1, 2, 3")
    assert [(*row[:3], pytest.approx(row[3])) for row in preferences] == [
        # eight, halved once, and one
        (1, "brand", NFC, 2),
        (1, "category", "2", 5),
        (1, "tag", BYSTANDER, 5),
        (1, "tag", NFC, 3),
        (2, "brand", NFC, 4),
        (2, "category", "3", 7),
    ]
    rules = postgres.read("SELECT category_id, brand, tag FROM rules ORDER BY id")
    assert [tuple(row) for row in rules] == [(2, None, None), (2, None, None), (3, None, None), (None, NFC, NFC)]
    documents = postgres.read("SELECT id FROM products WHERE document @@ to_tsquery('aisle', 'cafe & cup') ORDER BY id")
    assert [row[0] for row in documents] == [1, 2, 3]


def test_the_previous_release_s_catalog_gets_one_form(filled: None) -> None:
    check()
    # nothing is left to do but to name the product that keeps its id
    assert canonical_texts.make_canonical() == Changed(0, 1, 1)
    check()


def test_what_the_previous_release_writes_afterwards_gets_it_with_the_next_run_of_retention(
    env: dict[str, str], serve: Serve
) -> None:
    fill()
    answer = serve("retention").post("/", json={}).json()
    assert answer["texts_made_canonical"] == {"categories_merged": 1, "products_changed": 4, "ids_left": 1}
    check()


def test_categories_of_one_name_in_different_places_stay_apart(env: dict[str, str]) -> None:
    write("""INSERT INTO categories (id, name, parent_id) VALUES
        (1, :nfd, NULL), (2, 'Middle', 1), (3, :nfc, 2), (4, 'Below', 3)""")
    assert canonical_texts.make_canonical() == Changed(0, 0, 0)
    rows = postgres.read("SELECT id, path, parent_id FROM categories ORDER BY id")
    assert [tuple(row) for row in rows] == [
        (1, NFC, None),
        (2, f"{NFC} > Middle", 1),
        (3, f"{NFC} > Middle > {NFC}", 2),
        (4, f"{NFC} > Middle > {NFC} > Below", 3),
    ]
    assert canonical_texts.make_canonical() == Changed(0, 0, 0)


@pytest.mark.parametrize("field", ["name", "description", "external_id", "brand", "tags", "category", "rule"])
def test_one_text_that_is_not_canonical_suffices(env: dict[str, str], field: str) -> None:
    fill()
    canonical_texts.make_canonical()
    postgres.write("DELETE FROM products WHERE id = 4")
    assert canonical_texts.make_canonical() == Changed(0, 0, 0)
    statements = {
        "category": "UPDATE categories SET name = :nfd WHERE id = 2",
        "rule": "UPDATE rules SET tag = :nfd WHERE tag = :nfc",
        "tags": "UPDATE products SET tags = ARRAY[:nfd] WHERE id = 2",
    }
    write(statements.get(field, f"UPDATE products SET {field} = :nfd || '!' WHERE id = 2"))
    # two products are in the category, and one in a category below it
    expected = {"category": 3, "rule": 0}.get(field, 1)
    assert canonical_texts.make_canonical() == Changed(0, expected, 0)
    assert canonical_texts.make_canonical() == Changed(0, 0, 0)
    texts = postgres.read("""SELECT concat_ws(' ', name, description, external_id, brand, tags::text,
        (SELECT string_agg(name, ' ') FROM categories), (SELECT string_agg(concat_ws(' ', brand, tag), ' ') FROM rules))
        FROM products""")
    assert [row[0] for row in texts] == [normalize("NFC", row[0]) for row in texts]
