"""The migration of the search tokens: an indexed shop is searched as before, until its products are indexed again."""

import json
from collections.abc import Iterator

import pytest

from shared.clients import postgres
from shared.storage.catalog.product_pages import Filters, Page, find
from shared.storage.schema import migrations
from tests.integration.conftest import Running, Serve, settings_of
from tests.integration.deliveries import push

DATABASE = "before_search_tokens"
MIGRATION = "shop_settings"
TITLES = ("Red candles", "Salt/Pepper mill", "чайник большой", "Paper lantern")


@pytest.fixture
def migrated(services: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database whose products were indexed by the previous release, migrated since."""
    services.administrate(f"CREATE DATABASE {DATABASE}")
    every = migrations.available()
    place = next(number for number, file in enumerate(every) if file.stem.endswith(MIGRATION))
    try:
        with settings_of(services.environment | {"DATABASE_URL": services.url(DATABASE)}):
            monkeypatch.setattr(migrations, "available", lambda: every[:place])
            migrations.migrate()
            for title in TITLES:
                postgres.write("INSERT INTO products (name, price, tags) VALUES (:name, 3, '{gift}')", name=title)
            monkeypatch.setattr(migrations, "available", lambda: every)
            migrations.migrate()
            yield
    finally:
        services.administrate(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def search(text: str) -> list[str]:
    answer = json.loads(find(Filters(search=text), Page()))
    return [product["name"] for product in answer["products"]]


def test_products_are_found_before_and_after_they_are_indexed_again(migrated: None, serve: Serve) -> None:
    # the shop was indexed in English, and stays so
    assert postgres.read("SELECT search_language, languages FROM shop")[0] == ("english", ["english"])
    assert search("candle") == ["Red candles"]
    assert search("lanterns") == ["Paper lantern"]
    # browsing is counted from the beginning
    page = json.loads(find(Filters(), Page()))
    assert (page["total"], page["facets"]["tags"]) == (4, [{"tag": "gift", "count": 4}])

    (message,) = postgres.read("SELECT data, attributes FROM outbox WHERE topic = 'catalog-changes'")
    assert json.loads(message[0]) == {"product_ids": [1, 2, 3, 4], "change": "search"}
    answer = push(serve("refresh_catalog"), bytes(message[0]), message[1])
    assert answer.status_code < 300
    assert search("candle") == ["Red candles"]
    for title in TITLES:
        assert search(title)[:1] == [title]
    assert search("salt/pepper") == ["Salt/Pepper mill"]
    assert postgres.read("SELECT count(*) FROM products WHERE title_key IS NULL OR document_language <> 'english'")[
        0
    ] == (0,)
