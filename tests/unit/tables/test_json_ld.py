"""Products of schema.org, in the forms in which pages and exports have them."""

import json
from typing import Any

import pytest

from shared.errors import InvalidRequest
from shared.tables.products import Feed, parse_products, shown

CUP: dict[str, Any] = {
    "@context": "https://schema.org",
    "@type": "Product",
    "sku": "CUP-1",
    "name": "Cup &amp; saucer",
    "description": "<p>White</p>",
    "image": ["https://shop.example/1.jpg", "https://shop.example/2.jpg"],
    "brand": {"@type": "Brand", "name": "Nordhem"},
    "category": "Home > Kitchen",
    "offers": {
        "@type": "Offer",
        "price": "12.90",
        "priceCurrency": "EUR",
        "availability": "https://schema.org/InStock",
    },
    "aggregateRating": {"@type": "AggregateRating", "ratingValue": "80", "bestRating": 100, "reviewCount": "12"},
}


def parse(value: Any) -> Feed:
    return parse_products(json.dumps(value).encode(), "jsonl")


@pytest.mark.parametrize(
    "document",
    [
        CUP,
        [CUP],
        {"@context": "https://schema.org", "@graph": [{"@type": "WebSite", "name": "Shop"}, CUP]},
        {"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "position": 1, "item": CUP}]},
    ],
)
def test_a_product_is_read_in_each_form(document: Any) -> None:
    feed = parse(document)
    assert feed.errors == []
    [(row, product)] = feed.rows
    assert row == 1
    values = shown(product)
    assert (values["external_id"], values["name"], values["description"]) == ("CUP-1", "Cup & saucer", "White")
    assert (values["price"], values["quantity"], values["brand"]) == (12.9, 1, "Nordhem")
    assert (values["image_url"], values["category"]) == ("https://shop.example/1.jpg", "Home > Kitchen")
    assert (values["currency"], values["average_rating"], values["review_count"]) == ("EUR", 4.0, 12)
    assert feed.catalog.preset.name == "jsonld"


def test_one_object_a_line_is_read_by_line() -> None:
    body = b"\n".join((json.dumps(CUP).encode(), b"{broken", json.dumps(CUP | {"sku": "CUP-2", "offers": []}).encode()))
    feed = parse_products(body, "jsonl")
    assert [(row, product.external_id) for row, product in feed.rows] == [(1, "CUP-1")]
    assert [(error.row, error.field) for error in feed.errors] == [(2, ""), (3, "price")]


def test_variants_have_the_text_of_their_group() -> None:
    offers = CUP["offers"]
    group = {
        "@context": "https://schema.org",
        "@type": "ProductGroup",
        "productGroupID": "G",
        "name": "Shirt",
        "description": "Linen",
        "hasVariant": [
            {"@type": "Product", "sku": "S", "offers": offers},
            {"@type": "Product", "sku": "M", "offers": offers | {"availability": "OutOfStock"}},
        ],
    }
    rows = [shown(product) for _row, product in parse(group).rows]
    assert [(row["external_id"], row["name"], row["description"], row["quantity"]) for row in rows] == [
        ("S", "Shirt", "Linen", 1),
        ("M", "Shirt", "Linen", 0),
    ]
    assert {row["item_group_id"] for row in rows} == {"G"}


def test_variants_have_a_title_of_their_options() -> None:
    offers = CUP["offers"]
    black = {"@type": "DefinedTerm", "name": "Black"}
    variants = [
        {"@type": "Product", "sku": "S", "offers": offers, "size": "S", "color": black},
        {"@type": "Product", "sku": "M", "offers": offers, "size": {"@type": "SizeSpecification", "name": "M"}},
        {"@type": "Product", "sku": "X", "offers": offers},
    ]
    group = {"@type": "ProductGroup", "productGroupID": "G", "name": "Shirt", "hasVariant": variants, "color": "all"}
    alone = [
        {"@type": "Product", "sku": "L", "name": "Shirt", "offers": offers, "size": "L", "inProductGroupWithID": "G"},
        {"@type": "Product", "sku": "K", "name": "Cup", "offers": offers, "color": "White"},
    ]
    rows = [shown(product) for _row, product in parse([group, *alone]).rows]
    titles = {row["external_id"]: row.get("variant_title") for row in rows}
    # an option of a product that is no variant tells nothing apart
    assert titles == {"S": "S / Black", "M": "M", "X": None, "L": "L", "K": None}


def test_a_document_without_products_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no object of the type Product"):
        parse({"@context": "https://schema.org", "@type": "Organization", "name": "Shop"})


def test_deep_nesting_is_a_row_error() -> None:
    nested: Any = CUP
    for _ in range(30):
        nested = {"@graph": [nested]}
    assert "levels deep" in parse(nested).errors[0].message


@pytest.mark.parametrize(
    "rating",
    [
        {"ratingValue": "1e999999", "bestRating": "1e-999999"},
        {"ratingValue": "sNaN", "bestRating": 5},
        {"ratingValue": "Infinity", "bestRating": "Infinity"},
        {"ratingValue": 4, "bestRating": 0},
    ],
)
def test_a_rating_that_no_arithmetic_gives_is_a_row_error_or_left_out(rating: dict[str, Any]) -> None:
    feed = parse([CUP, CUP | {"sku": "other", "aggregateRating": rating}])
    assert len(feed.rows) >= 1
    assert {error.field for error in feed.errors} <= {"average_rating"}
