"""Synonyms: one-way and two-way, of one word or several, in force with the next search."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.domain.catalog import ProductWrite
from shared.storage.catalog import bulk_writes, synonyms
from tests.integration.admin.conftest import audited
from tests.integration.conftest import Serve
from tests.integration.shop import set_search_language


@pytest.fixture
def products(env: object, serve: Serve) -> httpx.Client:
    set_search_language("english")
    names = ("Blue sofa", "Couch, leather", "Coffee maker", "Espresso machine", "Wooden chair", "Notebook 15 inch")
    rows = [ProductWrite.model_validate({"name": name, "price": 1, "quantity": 1}) for name in names]
    with postgres.transaction() as connection:
        bulk_writes.upsert(connection, rows)
    return serve("products")


def found(products: httpx.Client, text: str) -> list[str]:
    answer = products.get("/products", params={"search": text})
    assert answer.status_code == 200, answer.text
    return [product["name"] for product in answer.json()["products"]]


def add(client: httpx.Client, **synonym: Any) -> int:
    answer = client.post("/admin/synonyms", json=synonym)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/admin/synonyms/{answer.json()['id']}"
    return int(answer.json()["id"])


def test_a_two_way_synonym_finds_both_at_once_until_it_is_deleted(client: httpx.Client, products: httpx.Client) -> None:
    assert found(products, "sofas") == ["Blue sofa"]
    synonym_id = add(client, term="Sofa", meant="couch")
    # what was typed comes first
    assert found(products, "sofas") == ["Blue sofa", "Couch, leather"]
    assert found(products, "couches") == ["Couch, leather", "Blue sofa"]
    assert found(products, "blue couch") == ["Blue sofa"]
    assert found(products, "chair") == ["Wooden chair"]
    assert client.delete(f"/admin/synonyms/{synonym_id}").status_code == 204
    assert found(products, "sofas") == ["Blue sofa"]
    assert client.delete(f"/admin/synonyms/{synonym_id}").status_code == 404
    assert [(entry[1], (entry[4] or entry[3])["term"]) for entry in audited()] == [
        ("synonym.add", "Sofa"),
        ("synonym.delete", "Sofa"),
    ]


def test_a_one_way_synonym_does_not_find_back(client: httpx.Client, products: httpx.Client) -> None:
    add(client, term="laptop", meant="notebook", two_way=False)
    assert found(products, "laptop") == ["Notebook 15 inch"]
    assert found(products, "laptop 15") == ["Notebook 15 inch"]
    suggested = products.get("/products/suggest", params={"q": "laptop"}).json()["suggestions"]
    assert suggested[-1]["text"] == "Notebook 15 inch"
    add(client, term="stool", meant="chair", two_way=False)
    assert found(products, "chair") == ["Wooden chair"]


def test_synonyms_of_several_words(client: httpx.Client, products: httpx.Client) -> None:
    add(client, term="coffee maker", meant="espresso machine")
    assert found(products, "Coffee-Makers") == ["Coffee maker", "Espresso machine"]
    assert found(products, "espresso machines") == ["Espresso machine", "Coffee maker"]
    # a part of it has no synonym
    assert found(products, "espresso") == ["Espresso machine"]


def test_a_synonym_follows_a_change_of_the_language(client: httpx.Client, products: httpx.Client) -> None:
    add(client, term="sofas", meant="couches")
    assert found(products, "sofa") == ["Blue sofa", "Couch, leather"]
    client.patch("/admin/shop", json={"search_language": "simple"})
    assert postgres.read("SELECT term_key, meant_key FROM synonyms")[0] == ("sofas", "couches")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"term": "sofa"}, 422),
        ({"term": "!!", "meant": "sofa"}, 422),
        ({"term": "sofa", "meant": " "}, 422),
        ({"term": "Sofa", "meant": "sofas"}, 422),
        ({"term": "sofa", "meant": "x" * 101}, 422),
        ({"term": "sofa", "meant": "couch", "both": True}, 422),
        ({"term": "SEAT", "meant": "Chair"}, 409),
    ],
)
def test_a_wrong_synonym_changes_nothing(
    client: httpx.Client, products: httpx.Client, body: dict[str, Any], status: int
) -> None:
    add(client, term="seat", meant="chair")
    assert client.post("/admin/synonyms", json=body).status_code == status
    assert [row["term"] for row in client.get("/admin/synonyms").json()["synonyms"]] == ["seat"]


def test_the_same_idempotency_key_adds_one_synonym(client: httpx.Client) -> None:
    body = {"term": "sofa", "meant": "couch"}
    answers = [client.post("/admin/synonyms", json=body, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(client.get("/admin/synonyms").json()["synonyms"]) == 1


def test_a_shop_has_a_bounded_number_of_synonyms(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synonyms, "MAX_SYNONYMS", 2)
    first = add(client, term="sofa", meant="couch")
    add(client, term="chair", meant="seat")
    refused = client.post("/admin/synonyms", json={"term": "laptop", "meant": "notebook"})
    assert (refused.status_code, refused.json()["detail"][:22]) == (409, "There are 2 synonyms, ")
    client.delete(f"/admin/synonyms/{first}")
    add(client, term="laptop", meant="notebook")
    assert [row["term"] for row in client.get("/admin/synonyms").json()["synonyms"]] == ["chair", "laptop"]
