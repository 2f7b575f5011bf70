"""The migration of hiragana and katakana on a catalog that the previous release has indexed."""

import json
from collections.abc import Iterator

import pytest

from shared.clients import postgres
from shared.storage.catalog import search_index
from shared.storage.schema import migrations
from tests.integration.conftest import Running, settings_of

DATABASE = "indexed_by_the_previous_release"
# what is indexed again, and what is not
KANA = {"title": ("サクラの器", ""), "half-width": ("ｻｸﾗ", ""), "description": ("Bowl", "さくら")}
OTHERS = {"latin": ("Bowl", "Plain"), "kanji": ("桜器", "")}
KEY = "SELECT external_id FROM products WHERE document @@ (search_query(:text, 'all')).matching ORDER BY 1"


@pytest.fixture
def upgraded(services: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    services.administrate(f"CREATE DATABASE {DATABASE}")
    every = migrations.available()
    place = next(number for number, migration in enumerate(every) if migration.stem.endswith("_kana"))
    try:
        with settings_of(services.environment | {"DATABASE_URL": services.url(DATABASE)}):
            monkeypatch.setattr(migrations, "available", lambda: every[:place])
            migrations.migrate()
            for external_id, (name, description) in (KANA | OTHERS).items():
                postgres.write(
                    "INSERT INTO products (external_id, name, description, price) VALUES (:id, :name, :text, 1)",
                    id=external_id,
                    name=name,
                    text=description,
                )
            postgres.write("INSERT INTO categories (name, leaf) VALUES ('サクラ', 'サクラ'), ('Bowls', 'Bowls')")
            postgres.write("DELETE FROM outbox")
            monkeypatch.setattr(migrations, "available", lambda: every[: place + 1])
            assert len(migrations.migrate()) == 1
            yield
    finally:
        services.administrate(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")


def found(text: str) -> list[str]:
    return [row[0] for row in postgres.read(KEY, text=text)]


def test_products_with_kana_are_indexed_again_and_are_found_meanwhile(upgraded: None) -> None:
    assert found("サクラ") == ["description", "half-width", "title"]
    # katakana in documents of before
    assert found("さくら") == ["description"]
    assert found("bowl") == ["description", "latin"]
    messages = postgres.read("SELECT topic, convert_from(data, 'UTF8') FROM outbox")
    assert [row[0] for row in messages] == ["catalog-changes"]
    body = json.loads(messages[0][1])
    names = postgres.read("SELECT external_id FROM products WHERE id = ANY (:ids)", ids=body["product_ids"])
    assert ({row[0] for row in names}, body["change"]) == (set(KANA), "search")
    with postgres.transaction() as connection:
        # hiragana stays as it is
        assert search_index.refresh_documents(connection, body["product_ids"]) == 2
    assert found("サクラ") == found("さくら") == ["description", "half-width", "title"]
    categories = "SELECT leaf FROM categories WHERE document @@ (search_query('さくら', 'all')).matching"
    assert [row[0] for row in postgres.read(categories)] == ["サクラ"]
