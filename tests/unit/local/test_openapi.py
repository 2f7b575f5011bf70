"""The union of several OpenAPI documents."""

from typing import Any

from local.openapi import union


def described(path: str, **schemas: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Page"}}}
    operation = {"operationId": "read", "responses": {"200": {"content": content}}}
    return {"paths": {path: {"get": operation}, "/health": {"get": {}}}, "components": {"schemas": schemas}}


def reference(document: dict[str, Any], path: str) -> str:
    target: str = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    return target


def test_equal_components_are_shared() -> None:
    page = {"type": "object"}
    document = union({"a": described("/a", Page=page), "b": described("/b", Page=page)})
    assert document["components"] == {"schemas": {"Page": page}}
    assert reference(document, "/b") == "#/components/schemas/Page"


def test_different_components_are_renamed_with_their_references() -> None:
    item = {"$ref": "#/components/schemas/Item"}
    first = described("/a", Page={"items": item}, Item={"type": "string"})
    second = described("/b", Page={"items": item}, Item={"type": "integer"})
    document = union({"a": first, "b": second})
    schemas = document["components"]["schemas"]
    assert schemas["Item"] == {"type": "string"}
    assert schemas["b_Item"] == {"type": "integer"}
    # equal in text, but not in meaning
    assert schemas["b_Page"] == {"items": {"$ref": "#/components/schemas/b_Item"}}
    assert schemas["Page"] == {"items": item}
    assert reference(document, "/a") == "#/components/schemas/Page"
    assert reference(document, "/b") == "#/components/schemas/b_Page"


def test_operations_are_named_once_and_tagged_with_their_function_or_resource() -> None:
    other = described("/b")
    other["tags"] = [{"name": "orders", "description": "Orders."}]
    other["paths"]["/b/orders"] = {"get": {"operationId": "list_orders", "tags": ["orders"]}}
    document = union({"a": described("/a"), "b": other})
    assert document["paths"]["/b/orders"]["get"]["tags"] == ["orders"]
    assert [tag["name"] for tag in document["tags"]] == ["a", "orders", "b"]
    assert document["paths"]["/a"]["get"]["operationId"] == "read"
    assert document["paths"]["/b"]["get"]["operationId"] == "b_read"
    assert document["paths"]["/b"]["get"]["tags"] == ["b"]
    assert "/health" not in document["paths"]
