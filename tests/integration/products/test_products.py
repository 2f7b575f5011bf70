"""Reading the catalog over HTTP. The shop is filled once for the module, because no test writes."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.conftest import Serve
from tests.integration.shop import CATALOG, PRODUCT_FIELDS, add_catalog


@pytest.fixture(scope="module")
def ids(module_env: dict[str, str]) -> dict[str, int]:
    return add_catalog()


@pytest.fixture
def client(ids: dict[str, int], serve: Serve) -> Iterator[httpx.Client]:
    return serve("products")


def search(client: httpx.Client, **query: Any) -> dict[str, Any]:
    answer = client.get("/products", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def codes(client: httpx.Client, **query: Any) -> list[str]:
    return [product["external_id"] for product in search(client, **query)["products"]]


def test_a_page_has_the_shape_of_the_contract(client: httpx.Client) -> None:
    page = search(client, page_size=5)
    assert list(page) == ["products", "total", "page", "page_size", "total_pages", "next", "facets"]
    assert list(page["facets"]) == ["categories", "price_bands", "tags"]
    assert (page["total"], page["page"], page["page_size"], page["total_pages"]) == (len(CATALOG), 1, 5, 3)
    assert [list(product) for product in page["products"]] == [PRODUCT_FIELDS] * 5
    first = page["products"][0]
    assert (first["external_id"], first["price"], first["purchase_count"], first["views"]) == (
        "85123A",
        2.95,
        900,
        2700,
    )
    assert isinstance(first["price"], float)
    assert first["category"] == "Candles"


def test_without_a_search_the_most_bought_come_first(client: httpx.Client) -> None:
    expected = [row[0] for row in sorted(CATALOG, key=lambda row: -row[6])]
    assert codes(client) == expected == codes(client, sort="popular")


def test_pages_join_up_and_one_beyond_the_end_is_empty_with_the_true_total(client: httpx.Client) -> None:
    joined = [code for page in (1, 2, 3) for code in codes(client, page=page, page_size=5, sort="price_asc")]
    assert joined == codes(client, sort="price_asc")
    beyond = search(client, page=10**12, page_size=5)
    assert (beyond["products"], beyond["total"], beyond["total_pages"]) == ([], len(CATALOG), 3)
    assert beyond["facets"] == search(client)["facets"]


def test_sorting_by_price_and_age(client: httpx.Client, ids: dict[str, int]) -> None:
    prices = [product["price"] for product in search(client, sort="price_asc")["products"]]
    assert prices == sorted(prices)
    prices = [product["price"] for product in search(client, sort="price_desc")["products"]]
    assert prices == sorted(prices, reverse=True)
    newest = [product["id"] for product in search(client, sort="newest")["products"]]
    assert newest == sorted(ids.values(), reverse=True)


SEARCHES: dict[str, set[str]] = {
    "hart": {"85123A", "H2", "H3", "L2"},
    "lantren": {"L1", "L2"},
    "chrismas": {"C1", "C2"},
    "chrismas tre": {"C1"},
    "hearts": {"85123A", "H2", "H3", "L2"},
    "HEART wicker": {"H2", "H3"},
    "wicker hart": {"H2", "H3"},
    "lant": {"L1", "L2"},
    "cafe creme": {"CA"},
    "café": {"CA"},
    "decorati": {"D1", "H2", "H3"},
    "on": {"O1"},
    "the lantern": {"L1", "L2"},
    "lantern of the": {"L1", "L2"},
    "kitchen": {"CA", "D1", "O1"},
    "xyzzyqwv": set(),
    "💖": set(),
    "!!!": set(),
}


def test_a_search_corrects_spelling_and_completes_words(client: httpx.Client) -> None:
    pages = {text: search(client, search=text) for text in SEARCHES}
    assert {text: {product["external_id"] for product in page["products"]} for text, page in pages.items()} == SEARCHES
    assert {text: page["total"] for text, page in pages.items()} == {text: len(SEARCHES[text]) for text in SEARCHES}


def test_the_most_frequent_near_word_is_searched_and_returned_as_the_correction(client: httpx.Client) -> None:
    assert search(client, search="hart")["corrected_query"] == "heart"
    assert search(client, search="red chrismas")["corrected_query"] == "red christmas"
    assert "corrected_query" not in search(client, search="heart")
    assert "corrected_query" not in search(client, search="xyzzyqwv")


def test_the_best_match_comes_first_then_the_most_bought(client: httpx.Client) -> None:
    assert codes(client, search="heart")[:3] == ["85123A", "H2", "H3"]
    # the word itself before words that begin with it, however often those were bought
    assert codes(client, search="card") == ["C2", "CD"]


def test_a_stock_code_finds_its_product_first(client: httpx.Client) -> None:
    for text in ("85123A", "85123a", " 85123A ", "X 7/b", "x 7/B"):
        assert codes(client, search=text)[0].lower() == text.strip().lower(), text
    # before a product that has it in its name
    assert codes(client, search="h2") == ["H2", "SP"]


def test_words_that_no_product_has_together_find_those_with_any(client: httpx.Client) -> None:
    page = search(client, search="onion lantern")
    assert {product["external_id"] for product in page["products"]} == {"O1", "L1", "L2"}
    # unless it was a filter that left nothing
    assert search(client, search="paper lantern", category="Bags")["total"] == 0


def test_a_search_may_be_sorted_by_price(client: httpx.Client) -> None:
    assert codes(client, search="heart", sort="price_asc") == ["H2", "85123A", "H3", "L2"]


TEXTS = (
    "' OR 1=1 --",
    "a & b | !c",
    "(((",
    "heart:*",
    "heart <-> wicker",
    "\\",
    "%",
    "_",
    ":x",
    "$1",
    "''",
    '"',
    "a" * 200,
    "1.2.3",
    "http://a.b/c?d=e",
    "user@example.com",
    "-5e10",
    "日本",
    "\t\n heart",
    "a " * 100,
    "<script>",
    "{}",
    "\u202e\u200d",
    "ﬁ ß İ",
)


def test_any_text_may_be_searched_and_suggested(client: httpx.Client) -> None:
    for text in TEXTS:
        assert client.get("/products", params={"search": text}).status_code == 200, text
        assert client.get("/products/suggest", params={"q": text}).status_code == 200, text


FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({"category": "home"}, {"85123A", "H2", "H3", "C1", "CA", "D1", "O1"}),
    ({"category": "CANDLES"}, {"85123A", "C1"}),
    ({"category": "nowhere"}, set()),
    ({"category_id": 99_999}, set()),
    ({"min_price": 4.99, "max_price": 5}, {"L1", "L2"}),
    ({"min_price": 12.01}, {"HD"}),
    ({"max_price": 0.99}, {"C2"}),
    ({"min_price": 1e-300, "max_price": 0.991}, {"C2"}),
    ({"in_stock": "false"}, {"H2"}),
    ({"tags": "heart"}, {"85123A", "H2", "H3", "L2"}),
    ({"tags": "heart,wicker"}, {"H2", "H3"}),
    ({"tags": ["heart", "metal"]}, {"L2"}),
    ({"tags": "Heart"}, set()),
    ({"search": "heart", "category": "home", "in_stock": "true", "max_price": 2.95}, {"85123A", "H3"}),
]


def test_filters_narrow_together(client: httpx.Client) -> None:
    for query, expected in FILTERS:
        page = search(client, **query)
        assert {product["external_id"] for product in page["products"]} == expected, query
        assert page["total"] == len(expected), query


def test_a_category_is_named_by_its_id_too(client: httpx.Client) -> None:
    home = next(category for category in client.get("/products/categories").json() if category["name"] == "Home")
    assert codes(client, category_id=home["id"]) == codes(client, category="Home")


def test_facets_count_everything_that_was_found(client: httpx.Client) -> None:
    page = search(client, search="heart", page_size=1)
    counts = {facet["name"]: facet["count"] for facet in page["facets"]["categories"]}
    assert counts == {"Decoration": 2, "Candles": 1, "Garden": 1}
    assert page["facets"]["price_bands"] == [
        {"min": 1, "max": 2.49, "count": 1},
        {"min": 2.5, "max": 4.99, "count": 2},
        {"min": 5, "max": 9.99, "count": 1},
    ]
    tags = page["facets"]["tags"]
    assert tags[:2] == [{"tag": "heart", "count": 4}, {"tag": "wicker", "count": 2}]


def test_a_price_band_as_a_filter_finds_what_it_counted(client: httpx.Client) -> None:
    for band in search(client)["facets"]["price_bands"]:
        narrowed = {"min_price": band["min"]} | ({} if band["max"] is None else {"max_price": band["max"]})
        assert search(client, **narrowed)["total"] == band["count"]


def test_one_product_is_shown_with_and_without_a_trailing_slash(client: httpx.Client, ids: dict[str, int]) -> None:
    product = client.get(f"/products/{ids['CA']}").json()
    assert list(product) == PRODUCT_FIELDS
    assert (product["name"], product["price"], product["category"]) == ("Café Crème Mug", 7.5, "Kitchen")
    assert client.get(f"/products/{ids['CA']}/").json() == product
    assert client.get("/products/", params={"page_size": 1}).json()["total"] == len(CATALOG)


def test_a_category_counts_the_products_of_its_subcategories(client: httpx.Client) -> None:
    listed = client.get("/products/categories").json()
    assert [list(category) for category in listed] == [["id", "name", "path", "parent_id", "product_count"]] * len(
        listed
    )
    assert [category["name"] for category in listed] == sorted(category["name"] for category in listed)
    named = {category["name"]: category for category in listed}
    assert (named["Home"]["product_count"], named["Home"]["parent_id"]) == (7, None)
    assert (named["Candles"]["product_count"], named["Candles"]["parent_id"]) == (2, named["Home"]["id"])


def suggested(client: httpx.Client, text: str, k: int = 10) -> list[tuple[str, str]]:
    answer = client.get("/products/suggest", params={"q": text, "k": k})
    assert answer.status_code == 200
    return [(suggestion["kind"], suggestion["text"]) for suggestion in answer.json()["suggestions"]]


def test_suggestions_complete_the_word_and_name_categories_and_products(
    client: httpx.Client, ids: dict[str, int]
) -> None:
    assert suggested(client, "chris")[:1] == [("query", "christmas")]
    assert ("category", "Candles") in suggested(client, "cand")
    assert ("product", "Onion Jar") in suggested(client, "on")
    completion = next(
        suggestion
        for suggestion in client.get("/products/suggest?q=onion").json()["suggestions"]
        if suggestion["kind"] == "product"
    )
    assert completion == {"text": "Onion Jar", "kind": "product", "product_id": ids["O1"], "external_id": "O1"}


def test_suggestions_correct_and_complete_the_last_of_several_words(client: httpx.Client) -> None:
    assert suggested(client, "lantren")[0] == ("query", "lantern")
    assert ("product", "Paper Lantern") in suggested(client, "lantren")
    assert suggested(client, "heart wi")[0] == ("query", "heart wicker")
    assert suggested(client, "xyzzyqwv") == []


def test_no_more_suggestions_than_asked_for(client: httpx.Client) -> None:
    for k in (1, 2, 3, 100):
        assert 1 <= len(suggested(client, "h", k)) <= k


def test_reads_may_be_cached_briefly_and_revalidated_by_etag(client: httpx.Client, ids: dict[str, int]) -> None:
    for path in ("/products", f"/products/{ids['H3']}", "/products/categories", "/products/suggest?q=heart"):
        answer = client.get(path)
        assert answer.headers["cache-control"] == "public, max-age=5"
        revalidated = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (revalidated.status_code, revalidated.content) == (304, b"")


PROBLEMS = (
    ("/products/999999", 404, "product-not-found"),
    ("/products/0", 422, "invalid-request"),
    ("/products/9223372036854775808", 422, "invalid-request"),
    ("/products/abc", 422, "invalid-request"),
    ("/products/1?x=1", 422, "invalid-request"),
    ("/products?colour=red", 422, "invalid-request"),
    ("/products?page=0", 422, "invalid-request"),
    ("/products?page_size=101", 422, "invalid-request"),
    ("/products?min_price=-1", 422, "invalid-request"),
    ("/products?min_price=nan", 422, "invalid-request"),
    ("/products?max_price=1e400", 422, "invalid-request"),
    ("/products?min_price=2&max_price=1", 422, "invalid-request"),
    ("/products?category_id=9223372036854775808", 422, "invalid-request"),
    ("/products?search=" + "x" * 201, 422, "invalid-request"),
    ("/products?search=%00", 422, "invalid-request"),
    ("/products?search=%ED%A0%80", 422, "invalid-request"),
    ("/products/suggest", 422, "invalid-request"),
    ("/products/suggest?q=a&k=101", 422, "invalid-request"),
    ("/products/categories?x=1", 422, "invalid-request"),
    ("/elsewhere", 404, "not-found"),
)


def test_an_invalid_request_gets_its_problem(client: httpx.Client) -> None:
    for path, status, slug in PROBLEMS:
        answer = client.get(path)
        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "application/problem+json", path
        assert answer.json()["type"] == f"urn:aisle:problem:{slug}", path
