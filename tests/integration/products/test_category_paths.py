"""A category is its path: equal names in different places are different categories, in writes, filters and answers."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.people import as_admin

FEED = b"""external_id,name,price,category
W1,Pumps,50,Women > Shoes
M1,Brogues,90,Men > Shoes
W2,Belt W,20,Women > Accessories
M2,Belt M,25,Men > Accessories
B1,Bystander,1,Books
"""


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The products function over two departments with categories of the same names."""
    client = as_admin(serve("products"))
    report = load(client, FEED)
    assert (report["created"], report["failed"]) == (5, 0)
    return client


def load(client: httpx.Client, feed: bytes) -> dict[str, Any]:
    answer = client.post("/products/import", content=feed, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


def found(client: httpx.Client, **query: Any) -> list[str]:
    answer = client.get("/products", params=query)
    assert answer.status_code == 200, answer.text
    return sorted(product["external_id"] for product in answer.json()["products"])


def paths(client: httpx.Client) -> list[str]:
    return [category["path"] for category in client.get("/products/categories").json()]


def test_the_report_has_both_ids_of_each_product(client: httpx.Client) -> None:
    report = load(client, b"external_id,name,price\nM1,Brogues,90\nX,New,1\nX,Newer,2\nW1,Pumps,nothing\n,Nameless,1\n")
    ids = {row[0]: row[1] for row in postgres.read("SELECT external_id, id FROM products")}
    listed = report["products"]
    assert [(product["row"], product["external_id"]) for product in listed[:2]] == [(2, "M1"), (4, "X")]
    assert listed[2]["row"] == 6
    assert len(listed[2]["external_id"]) == 36
    assert {product["external_id"]: product["product_id"] for product in listed} == {
        product["external_id"]: ids[product["external_id"]] for product in listed
    }


def test_departments_keep_their_products(client: httpx.Client) -> None:
    assert sorted(paths(client)) == [
        "Books",
        "Men",
        "Men > Accessories",
        "Men > Shoes",
        "Women",
        "Women > Accessories",
        "Women > Shoes",
    ]
    assert found(client, category="Women") == ["W1", "W2"]
    assert found(client, category="Men") == ["M1", "M2"]
    # by a path in any case of letters and with any spaces, or by the name, which two have
    assert found(client, category="women>SHOES") == ["W1"]
    assert found(client, category="Shoes") == ["M1", "W1"]
    assert found(client, category="Women > Books") == []
    listed = {category["path"]: category for category in client.get("/products/categories").json()}
    assert found(client, category_id=listed["Men > Shoes"]["id"]) == ["M1"]
    assert listed["Men > Shoes"]["parent_id"] == listed["Men"]["id"]
    assert listed["Men > Shoes"]["name"] == "Shoes"
    assert [listed[path]["product_count"] for path in ("Men", "Men > Shoes", "Books")] == [2, 1, 1]


def test_a_search_finds_equal_names_alike_whichever_department_came_first(client: httpx.Client) -> None:
    load(client, b"external_id,name,price,category\nK1,Boots,30,Kids > Shoes\n")
    documents = postgres.read("SELECT external_id, ts_filter(document, '{b}')::text FROM products")
    categories_of = {row[0]: row[1] for row in documents}
    for external_id in ("W1", "M1", "K1"):
        assert "'shoes'" in categories_of[external_id]
        assert not any(name in categories_of[external_id] for name in ("'men'", "'women'", "'kids'")), external_id
    assert "'shoes'" not in categories_of["B1"]
    assert found(client, search="shoes") == ["K1", "M1", "W1"]
    assert found(client, search="books") == ["B1"]
    vocabulary = {row[0]: row[1] for row in postgres.read("SELECT word, products FROM search_words")}
    assert (vocabulary["shoes"], vocabulary["books"]) == (3, 1)
    assert not {"men", "women", "kids"} & vocabulary.keys()
    suggested = client.get("/products/suggest", params={"q": "sho", "k": 8}).json()["suggestions"]
    assert [suggestion["text"] for suggestion in suggested if suggestion["kind"] == "category"] == ["Shoes"]


def test_two_feeds_of_one_department_each_do_not_mix(client: httpx.Client) -> None:
    load(client, b"external_id,name,price,category\nD1,Sneaker W,50,Damen > Schuhe\n")
    load(client, b"external_id,name,price,category\nH1,Sneaker H,50,Herren > Schuhe\n")
    assert (found(client, category="Damen"), found(client, category="Herren")) == (["D1"], ["H1"])


def test_answers_and_facets_carry_paths(client: httpx.Client) -> None:
    page = client.get("/products", params={"category": "Shoes", "sort": "price_asc"}).json()
    assert [(product["category"], product["category_path"]) for product in page["products"]] == [
        ("Shoes", "Women > Shoes"),
        ("Shoes", "Men > Shoes"),
    ]
    facets = page["facets"]["categories"]
    assert [(facet["name"], facet["path"], facet["count"]) for facet in facets] == [
        ("Shoes", "Men > Shoes", 1),
        ("Shoes", "Women > Shoes", 1),
    ]


def test_a_name_alone_is_the_only_category_of_that_name_or_the_product_s_own(client: httpx.Client) -> None:
    load(client, b"external_id,name,price,category\nT1,Tent,9,Garden > Tents\n")
    report = load(
        client,
        b"external_id,name,price,category\n"
        # the only one of that name; several, one of which is the product's; a new one; a top category
        b"T2,Small tent,8,Tents\nW1,Pumps,51,Shoes\nN1,New,1,Novelties\nB1,Bystander,2,Books\n"
        # several, none of which is the product's
        b"S1,Unknown shoe,5,Shoes\n",
    )
    assert (report["created"], report["updated"], report["failed"]) == (2, 2, 1)
    assert report["errors"] == [
        {
            "row": 6,
            "field": "category",
            "message": "'Shoes' names 2 categories; write one of their paths: Men > Shoes, Women > Shoes",
        }
    ]
    assert found(client, category="Garden > Tents") == ["T1", "T2"]
    assert found(client, category="Women > Shoes") == ["W1"]
    assert "Novelties" in paths(client)
    refused = client.post("/products", json={"name": "Shoe", "price": 1, "category": "Shoes"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "category"
    # a top category of the name exists from now on, and is what the name means
    assert (
        client.post("/products", json={"external_id": "X", "name": "X", "price": 1, "category_id": 1}).status_code
        == 201
    )
    postgres.write("INSERT INTO categories (name, leaf) VALUES ('the top one', 'Shoes')")
    moved = client.patch("/products", params={"external_id": "W1"}, json={"category": "Shoes"}).json()
    assert moved["category_path"] == "Shoes"


def test_further_categories_are_for_filters_and_facets(client: httpx.Client) -> None:
    sale = {"further_categories": ["Sale", "Women > Shoes", "Gifts > For her"]}
    changed = client.patch("/products", params={"external_id": "B1"}, json=sale).json()
    assert changed["category_path"] == "Books"
    assert changed["further_categories"] == ["Gifts > For her", "Sale", "Women > Shoes"]
    assert found(client, category="Sale") == ["B1"]
    assert found(client, category="Gifts") == ["B1"]
    assert found(client, category="Women") == ["B1", "W1", "W2"]
    assert found(client, category="Men") == ["M1", "M2"]
    facets = client.get("/products").json()["facets"]["categories"]
    assert {facet["path"]: facet["count"] for facet in facets}["Women > Shoes"] == 2
    counts = {category["path"]: category["product_count"] for category in client.get("/products/categories").json()}
    assert (counts["Women"], counts["Women > Shoes"], counts["Gifts"], counts["Books"], counts["Men"]) == (
        3,
        2,
        1,
        1,
        2,
    )
    # other changes keep them; a feed has them in one cell
    assert client.patch("/products", params={"external_id": "B1"}, json={"price": 3}).json()["further_categories"]
    load(client, b"external_id,name,price,further_categories\nM1,Brogues,90,Sale | Gifts > For him\n")
    assert found(client, category="Sale") == ["B1", "M1"]
    cleared = client.patch("/products", params={"external_id": "B1"}, json={"further_categories": None}).json()
    assert cleared["further_categories"] == []
    assert (
        client.patch("/products", params={"external_id": "B1"}, json={"further_categories": ["Shoes"]}).status_code
        == 422
    )


def test_recommendations_take_a_path_or_a_name(client: httpx.Client, serve: Serve) -> None:
    client.patch("/products", params={"external_id": "B1"}, json={"further_categories": ["Women > Shoes"]})
    recommending = serve("recommendations")

    def answer(path: str, key: str, **query: Any) -> list[str]:
        listed = recommending.get(path, params={"k": 9, **query})
        assert listed.status_code == 200, listed.text
        return sorted(product["external_id"] for product in listed.json()[key])

    assert answer("/recommendations", "recommendations", user_id="u", category="women > shoes") == ["B1", "W1"]
    assert answer("/recommendations", "recommendations", user_id="u", category="Shoes") == ["B1", "M1", "W1"]
    assert recommending.get("/recommendations", params={"user_id": "u", "category": "Hats"}).status_code == 404
    both = {"user_id": "u", "category": "Shoes", "category_id": 1}
    assert recommending.get("/recommendations", params=both).status_code == 422
    postgres.write("INSERT INTO trending_scores SELECT '7d', id, id, 1, now(), category_id FROM products")
    assert answer("/trending", "products", category="Women > Shoes") == ["B1", "W1"]
    assert recommending.get("/trending", params={"category": "Hats"}).status_code == 404
    body = {"user_ids": ["u"], "category": "Men > Shoes"}
    batch = recommending.post("/recommendations/batch", json=body, headers=client.headers).json()["answers"]
    assert [product["external_id"] for product in batch[0]["recommendations"]] == ["M1"]
