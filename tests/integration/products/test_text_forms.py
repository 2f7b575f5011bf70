"""A word that two feeds compose differently is one category, one brand, one tag, one product and one search."""

from pathlib import Path
from unicodedata import normalize

import httpx
import pytest

from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.tables import count_rows

WORD = "Gâteau"
NFC, NFD = normalize("NFC", WORD), normalize("NFD", WORD)
BYSTANDER = "Gateau"


def body(code: str, word: str) -> dict[str, object]:
    return {
        "external_id": code,
        "name": f"{word} cup",
        "description": word,
        "price": 1,
        "category": f"Shop > {word}",
        "brand": word,
        "tags": [word, word],
        "quantity": 1,
    }


def create(admin: httpx.Client, code: str, word: str) -> dict[str, object]:
    answer = admin.post("/products", json=body(code, word))
    assert answer.status_code == 201, answer.text
    product: dict[str, object] = answer.json()
    return product


def found(client: httpx.Client, **parameters: object) -> list[str]:
    answer = client.get("/products", params=parameters)
    assert answer.status_code == 200, answer.text
    return sorted(product["external_id"] for product in answer.json()["products"])


@pytest.fixture
def two(admin: httpx.Client) -> list[dict[str, object]]:
    """The same product from two feeds, and one of another word."""
    create(admin, "other", BYSTANDER)
    return [create(admin, "composed", NFC), create(admin, "decomposed", NFD)]


@pytest.mark.parametrize("typed", [NFC, NFD])
def test_two_forms_are_one_category_brand_and_tag(
    client: httpx.Client, two: list[dict[str, object]], typed: str
) -> None:
    first, second = two
    for field in ("name", "description", "category", "category_id", "brand", "tags"):
        assert first[field] == second[field], field
    assert first["tags"] == [NFC]
    assert found(client, category=typed) == ["composed", "decomposed"]
    assert found(client, tags=typed) == ["composed", "decomposed"]
    assert found(client, category=BYSTANDER) == found(client, tags=BYSTANDER) == ["other"]
    # a search leaves accents out, so it also takes the other word
    assert found(client, search=typed) == ["composed", "decomposed", "other"]
    assert found(client, search="ＧÂＴＥＡＵ") == ["composed", "decomposed", "other"]
    facets = client.get("/products", params={"tags": typed}).json()["facets"]
    assert facets["tags"] == [{"tag": NFC, "count": 2}]
    assert [category["count"] for category in facets["categories"]] == [2]
    suggested = client.get("/products/suggest", params={"q": typed}).json()["suggestions"]
    assert {"text": f"{NFC} cup", "kind": "product", "product_id": first["id"], "external_id": "composed"} in suggested


def test_a_change_and_an_import_write_the_same_form(
    admin: httpx.Client, two: list[dict[str, object]], shop: dict[str, int]
) -> None:
    changes = {"name": NFD, "category": NFD, "brand": NFD, "tags": [NFD], "description": NFD}
    changed = admin.patch(f"/products/{shop['85123A']}", json=changes).json()
    assert [changed[name] for name in changes] == [NFC, NFC, NFC, [NFC], NFC]
    assert changed["category_id"] == two[0]["category_id"]
    csv = f"external_id,name,price,category,brand,tags\nfeed,{NFD},2,{NFD},{NFD},{NFD}|{NFC}\n"
    answer = admin.post("/products/import", content=csv.encode(), headers={"Content-Type": "text/csv"})
    assert answer.json()["created"] == 1, answer.text
    row = postgres.read("SELECT name, brand, tags, category_id FROM products WHERE external_id = 'feed'")[0]
    assert tuple(row) == (NFC, NFC, [NFC], two[0]["category_id"])
    assert count_rows("categories", "name = :name", name=NFC) == 1


def test_an_id_in_two_forms_is_one_product(
    admin: httpx.Client, shop: dict[str, int], serve: Serve, tmp_path: Path
) -> None:
    create(admin, f"SKU-{NFD}", "first")
    create(admin, f"SKU-{BYSTANDER}", "bystander")
    assert admin.post("/products", json=body(f"SKU-{NFC}", "second")).status_code == 409
    lines = f'{{"external_id": "SKU-{NFD}", "name": "third", "price": 3}}\n'
    answer = admin.post("/products/import", content=lines.encode(), headers={"Content-Type": "application/x-ndjson"})
    assert (answer.json()["created"], answer.json()["updated"]) == (0, 1), answer.text
    for typed in (NFC, NFD):
        # an exact id comes first
        listed = admin.get("/products", params={"search": f"SKU-{typed}"}).json()["products"]
        assert [product["external_id"] for product in listed] == [f"SKU-{NFC}", f"SKU-{BYSTANDER}"]
    history = tmp_path / "history.csv"
    history.write_text(
        "user_id,event_type,timestamp,external_id\n"
        + "".join(f"{user},view,2026-01-0{day}T00:00:00Z,SKU-{NFD}\n" for user, day in ((NFC, 1), (NFD, 2)))
    )
    loaded = serve("load_events").post("/", json={"source": str(history)}).json()
    assert loaded["rows"] == 2, loaded
    # the product is one; ids of users are compared as they are
    names = {row[0] for row in postgres.read("SELECT external_id FROM users")}
    assert {NFC, NFD} <= names
    assert len(postgres.read("SELECT DISTINCT product_id FROM events")) == 1


def test_a_rule_applies_to_the_brand_and_the_tag_in_every_form(
    admin: httpx.Client, two: list[dict[str, object]], serve: Serve
) -> None:
    staff = serve("admin")
    staff.headers.update(admin.headers)
    for selector in ("brand", "tag"):
        answer = staff.post("/admin/rules", json={"kind": "exclude", selector: NFD})
        assert (answer.status_code, answer.json()[selector]) == (201, NFC), answer.text
    excluded = {row[0] for row in postgres.read("SELECT excluded_by_rules()")}
    assert excluded == {two[0]["id"], two[1]["id"]}


def test_the_limit_of_a_name_counts_its_canonical_form(admin: httpx.Client) -> None:
    at_limit = {"name": "e\u0301" * 500, "brand": "e\u0301" * 200, "tags": ["e\u0301" * 64], "price": 1}
    assert admin.post("/products", json=at_limit).status_code == 201
    for field in ("name", "brand"):
        assert admin.post("/products", json=at_limit | {field: f"{at_limit[field]}e\u0301"}).status_code == 422


def test_a_search_is_one_entry_of_the_history_in_both_forms(client: httpx.Client, two: list[dict[str, object]]) -> None:
    for typed in (NFC, NFD, NFC.upper()):
        client.get("/products", params={"search": typed, "user_id": "visitor"})
    client.get("/products", params={"search": BYSTANDER, "user_id": "visitor"})
    rows = postgres.read("SELECT query, searches FROM search_history ORDER BY searches DESC")
    assert [tuple(row) for row in rows] == [(NFC.lower(), 3), (BYSTANDER.lower(), 1)]
