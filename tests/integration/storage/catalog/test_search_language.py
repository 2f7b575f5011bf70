"""The shop's language: stems, stop words and compounds, and a change of it while the search goes on."""

import json
from typing import Final

import httpx
import pytest

from shared.clients import postgres
from shared.domain.catalog import ProductWrite
from shared.storage.catalog import bulk_writes, search_index
from shared.storage.catalog.product_pages import Filters, Page, find
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver_catalog_change
from tests.integration.people import as_admin
from tests.integration.shop import set_search_language

INSERT: Final = "INSERT INTO products (external_id, name, price, quantity) VALUES (:name, :name, 1, 1) RETURNING id"


def languages() -> dict[str, int]:
    return {row[0]: row[1] for row in postgres.read("SELECT document_language, count(*) FROM products GROUP BY 1")}


def add(*names: str, description: str = "") -> None:
    rows = [
        ProductWrite.model_validate({"name": name, "price": 1, "quantity": 1, "description": description})
        for name in names
    ]
    with postgres.transaction() as connection:
        bulk_writes.upsert(connection, rows)


def search(text: str) -> set[str]:
    answer = json.loads(find(Filters(search=text), Page(size=100)))
    assert "corrected_query" not in answer
    return {product["name"] for product in answer["products"]}


@pytest.mark.parametrize(
    ("language", "title", "texts", "others"),
    [
        ("english", "Painted candles", ["candle", "painting"], ["candid"]),
        ("german", "Weiße Lampen", ["lampe", "weißer", "weisse"], ["lama"]),
        ("french", "Chaussures étanches", ["chaussure", "etanche", "étanche"], ["chausson"]),
        ("spanish", "Zapatos cómodos", ["zapato", "comodo", "cómodas"], ["zapping"]),
        ("russian", "Электрические чайники", ["чайник", "электрический"], ["чайка"]),
        ("turkish", "Güneş gözlükleri", ["gözlük", "gunes"], ["gün batımı"]),
        ("finnish", "Puiset pöydät", ["pöydät", "poydan"], ["lasi"]),
        ("arabic", "المصابيح الكهربائية", ["مصابيح", "كهربائيه"], ["مصباح كبير"]),
        ("hindi", "लाल साड़ियाँ", ["साड़ी", "साड़ियों"], ["सादा"]),
        ("greek", "Ξύλινα τραπέζια", ["ξυλινο", "τραπέζι"], ["γάτα"]),
    ],
)
def test_inflected_words_find_each_other_in_the_language_of_the_shop(
    env: object, language: str, title: str, texts: list[str], others: list[str]
) -> None:
    set_search_language(language)
    add(title, "zzz bystander")
    for text in [title, *title.split(), *texts]:
        assert search(text) == {title}, text
    for text in others:
        assert json.loads(find(Filters(search=text), Page()))["total"] == 0, text


def test_without_a_language_words_are_compared_as_they_are(env: object) -> None:
    add("Painted candles", "The candle")
    assert search("candles") == {"Painted candles"}
    # the last word is a beginning
    assert search("candle") == {"Painted candles", "The candle"}
    assert search("candle the") == {"The candle"}


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("schrank", {"Kühlschrank weiß", "Schrankwand"}),
        ("kühl", {"Kühlschrank weiß"}),
        ("Stuhl", {"Gartenstühle aus Holz"}),
        ("stühle garten", {"Gartenstühle aus Holz"}),
        ("maschine", {"Waschmaschinenschlauch"}),
        ("schlauch", {"Waschmaschinenschlauch"}),
        ("lampe", {"Tischlampen"}),
        ("tisch", {"Tischlampen", "Arbeitstisch"}),
        ("Gartenstuhl", {"Gartenstühle aus Holz"}),
        # inside of a word only long parts count, and no compound ends with two letters before the part
        ("rose", {"Rose"}),
    ],
)
def test_a_part_of_a_german_compound_finds_it(env: object, text: str, titles: set[str]) -> None:
    set_search_language("german")
    add("Kühlschrank weiß", "Schrankwand", "Gartenstühle aus Holz", "Waschmaschinenschlauch", "Tischlampen")
    add("Arbeitstisch", "Rose", "Prosecco")
    assert search(text) == titles


def test_compounds_are_parted_only_where_the_language_has_them(env: object) -> None:
    set_search_language("english")
    add("Gartenschlauch")
    assert json.loads(find(Filters(search="schlauch"), Page()))["total"] == 0


def test_stop_words_decide_only_where_there_is_nothing_else(env: object) -> None:
    set_search_language("english")
    add("The Who - Who's Next LP", "Who is who", "Lamp for the desk", description="the who of the lamp")
    assert search("the lamp") >= {"Lamp for the desk"}
    answer = json.loads(find(Filters(search="the who"), Page()))
    # a description's stop words find nothing
    assert [product["name"] for product in answer["products"]] == ["The Who - Who's Next LP"]
    assert search("lamps with the a") >= {"Lamp for the desk"}


def test_search_goes_on_while_a_change_of_the_language_indexes_the_products(env: object, serve: Serve) -> None:
    set_search_language("english")
    add("Painted candles", "Gartenstühle", "Lampen für Kinder")
    add("Kerzen")
    admin, refresh_catalog = as_admin(serve("admin")), serve("refresh_catalog")
    assert search("candle") == {"Painted candles"}
    assert search("paint") == {"Painted candles"}
    assert search("lampe") == {"Lampen für Kinder"}

    answer = admin.patch("/admin/shop", json={"search_language": "german"})
    assert answer.json()["is_indexing"] is True
    # not one document is in German yet
    assert search("painting") == {"Painted candles"}
    assert search("kerzen") == {"Kerzen"}
    # a product that is added meanwhile is found by both
    add("Neue Lampen")
    assert search("lampen") == {"Lampen für Kinder", "Neue Lampen"}

    rows = postgres.read("SELECT convert_from(data, 'UTF8') FROM outbox WHERE topic = 'catalog-changes' ORDER BY id")
    bodies = [body for (text,) in rows if (body := json.loads(text))["change"] == "search"]
    ids = sorted(product_id for body in bodies for product_id in body["product_ids"])
    assert len(ids) == 4
    for product_id in ids:
        deliver(refresh_catalog, product_id)
        assert search("lampen") == {"Lampen für Kinder", "Neue Lampen"}
        assert search("candles") == {"Painted candles"}
        is_last = product_id == ids[-1]
        assert admin.get("/admin/shop").json()["is_indexing"] is not is_last
    assert search("stuhl") == {"Gartenstühle"}
    assert search("kinder lampe") == {"Lampen für Kinder"}
    assert postgres.read("SELECT DISTINCT document_language FROM products")[0][0] == "german"
    # what changes nothing indexes nothing
    assert admin.patch("/admin/shop", json={"search_language": "german"}).json()["is_indexing"] is False
    assert admin.patch("/admin/shop", json={"name": "Laden"}).json()["is_indexing"] is False


def test_a_product_whose_transaction_outlasts_a_change_of_the_language_is_indexed_too(
    env: object, serve: Serve
) -> None:
    set_search_language("english")
    add("Painted candles", "Bystander")
    admin, refresh_catalog, nightly = (
        as_admin(serve("admin")),
        serve("refresh_catalog"),
        serve("bought_together"),
    )
    known = [row[0] for row in postgres.read("SELECT id FROM products")]
    with postgres.transaction() as connection:
        with postgres.transaction() as other:
            # while another writer has the vocabulary, products are added without it
            search_index.lock_vocabulary(other)
            for name in ("Neue Gartenstühle", "Späte Gartenstühle"):
                late = postgres.execute(connection, INSERT, {"name": name})[0][0]
        answer = admin.patch("/admin/shop", json={"search_language": "german"})
        assert answer.json()["is_indexing"] is True
    for product_id in known:
        deliver(refresh_catalog, product_id)
    # one of them by its own message, the other by the job
    answer = deliver_catalog_change(refresh_catalog, {"product_ids": [late], "change": "created"})
    assert answer.status_code < 300, answer.text
    assert languages() == {"german": 3, "english": 1}
    assert admin.get("/admin/shop").json()["is_indexing"] is True
    assert nightly.post("/").json()["translated"] == 1
    assert languages() == {"german": 4}
    assert admin.get("/admin/shop").json()["is_indexing"] is False
    assert search("stuhl") == {"Neue Gartenstühle", "Späte Gartenstühle"}
    # nothing is left to do
    assert nightly.post("/").json()["translated"] == 0


def deliver(refresh_catalog: httpx.Client, product_id: int) -> None:
    answer = deliver_catalog_change(refresh_catalog, {"product_ids": [product_id], "change": "search"})
    assert answer.status_code < 300, answer.text
