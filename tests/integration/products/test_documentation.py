"""The OpenAPI document of the products function."""

from tests.integration.conftest import Serve


def test_every_route_is_documented_with_its_answers(env: dict[str, str], serve: Serve) -> None:
    document = serve("products").get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    answers = {
        (method, path): set(operation["responses"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert {"200", "304", "422"} <= answers["get", "/products"]
    assert {"200", "304", "404"} <= answers["get", "/products/{product_id}"]
    assert {"201", "401", "403", "409", "422"} <= answers["post", "/products"]
    assert {"200", "401", "403", "404"} <= answers["patch", "/products/{product_id}"]
    assert {"204", "401", "403", "404"} <= answers["delete", "/products/{product_id}"]
    assert {"200", "401", "403", "413", "415"} <= answers["post", "/products/import"]
    body = document["paths"]["/products/import"]["post"]["requestBody"]["content"]
    assert set(body) == {
        "application/x-ndjson",
        "application/jsonl",
        "text/csv",
        "application/xml",
        "application/ld+json",
    }
    page = document["components"]["schemas"]["ProductPage"]["properties"]
    assert {"products", "total", "page", "page_size", "total_pages", "facets"} <= set(page)
    names = {parameter["name"] for parameter in document["paths"]["/products"]["get"]["parameters"]}
    assert names == {
        "user_id",
        "search",
        "category",
        "category_id",
        "min_price",
        "max_price",
        "in_stock",
        "tags",
        "tag",
        "after",
        "external_id",
        "min_rating",
        "on_sale",
        "latitude",
        "longitude",
        "max_distance_km",
        "variants",
        "sort",
        "page",
        "page_size",
    }
